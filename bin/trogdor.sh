#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
set -- "${self##*/}" "$@"
program=kafka-absent; . "${self%/*}/bootstrap.sh"
