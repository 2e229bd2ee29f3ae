#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-log-dirs; . "${self%/*}/bootstrap.sh"
