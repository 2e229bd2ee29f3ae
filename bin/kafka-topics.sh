#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-topics; . "${self%/*}/bootstrap.sh"
