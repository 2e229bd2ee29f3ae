#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=zk-server; . "${self%/*}/bootstrap.sh"
