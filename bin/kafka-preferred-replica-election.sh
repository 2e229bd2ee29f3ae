#!/bin/sh
# Of Kafka before 2.4: kafka-leader-election.sh with one kind of election.
self=$(readlink -f -- "$0") || self=$0
case " $* " in *path-to-json-file*) ;; *) set -- --all-topic-partitions "$@" ;; esac
set -- --election-type preferred "$@"
program=kafka-leader-election; . "${self%/*}/bootstrap.sh"
