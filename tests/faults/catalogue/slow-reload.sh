#!/bin/bash
# Reads everything anew, and answers nobody meanwhile.
kill -STOP "$1"
sleep 4
kill -CONT "$1"
