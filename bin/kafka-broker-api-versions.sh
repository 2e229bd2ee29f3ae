#!/bin/sh
self=$(readlink -f -- "$0") || self=$0
program=kafka-broker-api-versions; . "${self%/*}/bootstrap.sh"
