#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-get-offsets; . "${self%/*}/bootstrap.sh"
