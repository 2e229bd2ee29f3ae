#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-delete-records; . "${self%/*}/bootstrap.sh"
