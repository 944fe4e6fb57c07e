// QR by Householder reflections, in double: reflection k is I - tau[k] v v', where v is 1 at k and
// stands below the diagonal of column k. Columns go in panels: the reflections of one panel are
// applied to the others side by side, each panel a task that writes nothing but its own columns, in
// an order that is the same on every machine.
#include "core/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/checked.h"
#include "core/parallel.h"
#include "striate/threads.h"

namespace striate {
namespace {

constexpr std::int64_t kPanel =
    32;  // columns: 256 bytes a row, and a panel's sums fit in registers

class Householder {
 public:
  Householder(std::int64_t rows, std::int64_t cols, double* a)
      : rows_(rows), cols_(cols), a_(a), tau_(static_cast<std::size_t>(cols)), sign_(tau_) {}

  // Replaces the matrix by its Q.
  void run() {
    const std::int64_t panels = (cols_ + kPanel - 1) / kPanel;
    for (std::int64_t p = 0; p < panels; ++p) {
      for (std::int64_t k = p * kPanel; k < end(p); ++k) {
        find(k);
        reflect(k, k + 1, end(p));
      }
      for_each_panel(p + 1, panels, [&](std::int64_t other) {
        for (std::int64_t k = p * kPanel; k < end(p); ++k) reflect(k, other * kPanel, end(other));
      });
    }
    // Q is the product of the reflections: applied to the identity, the last one first. Columns
    // right of a panel are the identity's but for what is done already.
    for (std::int64_t p = panels - 1; p >= 0; --p) {
      for_each_panel(p + 1, panels, [&](std::int64_t other) {
        for (std::int64_t k = end(p) - 1; k >= p * kPanel; --k)
          reflect(k, other * kPanel, end(other));
      });
      for (std::int64_t k = end(p) - 1; k >= p * kPanel; --k) {
        reflect(k, k + 1, end(p));
        unfold(k);
      }
    }
    for (std::int64_t i = 0; i < rows_; ++i)
      for (std::int64_t j = 0; j < cols_; ++j) row(i)[j] *= sign_[static_cast<std::size_t>(j)];
  }

 private:
  double* row(std::int64_t i) { return a_ + i * cols_; }
  std::int64_t end(std::int64_t panel) const { return std::min(cols_, (panel + 1) * kPanel); }

  template <typename Task>
  static void for_each_panel(std::int64_t first, std::int64_t last, Task task) {
    parallel_for(num_threads(), last - first, [&](std::int64_t i) { task(first + i); });
  }

  // The reflection that takes column k, from row k down, to a multiple of the unit vector.
  void find(std::int64_t k) {
    double squares = 0.0;
    for (std::int64_t i = k; i < rows_; ++i) squares += row(i)[k] * row(i)[k];
    const double head = row(k)[k], norm = std::sqrt(squares);
    const double diagonal = head > 0.0 ? -norm : norm;  // of R; the sign that does not cancel
    const auto at = static_cast<std::size_t>(k);
    sign_[at] = diagonal < 0.0 ? -1.0 : 1.0;
    tau_[at] = norm > 0.0 ? (diagonal - head) / diagonal : 0.0;
    for (std::int64_t i = k + 1; norm > 0.0 && i < rows_; ++i) row(i)[k] /= head - diagonal;
  }

  // Columns [from, to), at most kPanel of them, under reflection k.
  void reflect(std::int64_t k, std::int64_t from, std::int64_t to) {
    const std::int64_t n = to - from;
    if (n <= 0) return;
    double sums[kPanel];
    std::copy(row(k) + from, row(k) + to, sums);
    for (std::int64_t i = k + 1; i < rows_; ++i) {
      const double v = row(i)[k];
      const double* x = row(i) + from;
      for (std::int64_t j = 0; j < n; ++j) sums[j] += v * x[j];
    }
    for (std::int64_t j = 0; j < n; ++j) sums[j] *= tau_[static_cast<std::size_t>(k)];
    for (std::int64_t j = 0; j < n; ++j) row(k)[from + j] -= sums[j];
    for (std::int64_t i = k + 1; i < rows_; ++i) {
      const double v = row(i)[k];
      double* x = row(i) + from;
      for (std::int64_t j = 0; j < n; ++j) x[j] -= v * sums[j];
    }
  }

  // Column k of Q so far: reflection k of the unit vector.
  void unfold(std::int64_t k) {
    const double tau = tau_[static_cast<std::size_t>(k)];
    for (std::int64_t i = 0; i < k; ++i) row(i)[k] = 0.0;
    row(k)[k] = 1.0 - tau;
    for (std::int64_t i = k + 1; i < rows_; ++i) row(i)[k] *= -tau;
  }

  std::int64_t rows_, cols_;
  double* a_;
  std::vector<double> tau_, sign_;
};

}  // namespace

void fill_orthogonal(const RandomStream& stream, std::int64_t rows, std::int64_t cols, double gain,
                     float* out) {
  const std::int64_t tall = std::max(rows, cols), narrow = std::min(rows, cols);
  std::vector<double> q(static_cast<std::size_t>(checked_mul(tall, narrow)));
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = stream.normal(static_cast<std::uint32_t>(i));
  Householder(tall, narrow, q.data()).run();
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t at = cols > rows ? c * narrow + r : r * narrow + c;
      out[r * cols + c] = static_cast<float>(gain * q[static_cast<std::size_t>(at)]);
    }
}

}  // namespace striate
