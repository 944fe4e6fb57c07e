#pragma once
// Orthogonal matrices from random ones (Saxe, McClelland, Ganguli 2014).
#include <cstdint>

#include "striate/random.h"

namespace striate {

// Fills `out`, a rows x cols matrix, row after row, with gain times the orthonormal factor Q of a
// matrix of normal numbers: max(rows, cols) x min(rows, cols) of them, element i the stream's i-th,
// and transposed where cols > rows. The sign of each column is the one that makes R's diagonal
// positive, so Q is the only such factor, and uniform over all orthogonal matrices. The same bits
// on every machine and for any number of threads. Takes about 4 rows cols min(rows, cols)
// operations.
void fill_orthogonal(const RandomStream& stream, std::int64_t rows, std::int64_t cols, double gain,
                     float* out);

}  // namespace striate
