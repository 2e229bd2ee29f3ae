#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-run-class; . "${self%/*}/bootstrap.sh"
