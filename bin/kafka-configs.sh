#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-configs; . "${self%/*}/bootstrap.sh"
