#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-server-stop; . "${self%/*}/bootstrap.sh"
