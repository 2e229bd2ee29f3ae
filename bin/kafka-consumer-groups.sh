#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-consumer-groups; . "${self%/*}/bootstrap.sh"
