#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-verifiable-consumer; . "${self%/*}/bootstrap.sh"
