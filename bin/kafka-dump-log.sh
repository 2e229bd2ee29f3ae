#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-dump-log; . "${self%/*}/bootstrap.sh"
