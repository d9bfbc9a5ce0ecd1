// How much of the caller's stack the code needs, in bytes. TestStack computes it.
#pragma once

// Of accelerate_common_go, for all calls that need no STACK_OF_NAMES.
#define STACK 448

// Of answer and what the entry has pushed below its arguments, for calls that copy a path.
#define STACK_OF_NAMES 800
