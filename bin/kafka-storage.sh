#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-storage; . "${self%/*}/bootstrap.sh"
