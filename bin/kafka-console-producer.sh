#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-console-producer; . "${self%/*}/bootstrap.sh"
