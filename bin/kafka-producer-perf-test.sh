#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-producer-perf-test; . "${self%/*}/bootstrap.sh"
