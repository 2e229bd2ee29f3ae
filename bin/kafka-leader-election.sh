#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-leader-election; . "${self%/*}/bootstrap.sh"
