#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-transactions; . "${self%/*}/bootstrap.sh"
