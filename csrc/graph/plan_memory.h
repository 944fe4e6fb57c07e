#pragma once
// Gives every buffer of a plan its place: walks the timeline to know who writes and reads it when,
// lets values and gradients share memory where that is safe, and lays out the arenas.
#include "graph/plan.h"

namespace striate {

void place_memory(Plan* plan);

}  // namespace striate
