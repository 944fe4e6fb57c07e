#pragma once
// A change of layout as an operation of its own: the plan puts it at the edges of a stretch.
#include "ops/op.h"

namespace striate {

OpPtr change_layout(Layout to);

}  // namespace striate
