#pragma once
// Muon's step for one weight, seen as a matrix: its momentum goes to a matrix of nearly orthonormal
// rows (or columns, where there are fewer), and the weight moves by that (Jordan et al., "Muon: an
// optimizer for hidden layers in neural networks", 2024). A few rounds of
// X = a X + (b G + c G^2) X with G = X X^T, of coefficients that bring singular values from
// anywhere below 1 to about 1, take the place of a singular value decomposition.
#include <cstdint>

#include "core/parallel.h"
#include "core/storage.h"
#include "kernels/kernels.h"

namespace striate {

class OrthogonalStep {
 public:
  OrthogonalStep(int rounds, const KernelTable& kernels) : rounds_(rounds), k_(kernels) {}

  // All axes of a weight but the last are rows.
  struct Matrix {
    std::int64_t rows, outputs;
    const float* momentum;
    float* weights;
  };
  // Outside the parallel region, for the largest of the matrices to come.
  void reserve(std::int64_t rows, std::int64_t outputs);
  // weights = keep * weights - rate * orthogonal. `norm`: Frobenius's, of the momentum; a norm of
  // zero moves nothing. Called by the whole team.
  void run(Team& team, const Matrix& matrix, double norm, float keep, float rate);

 private:
  void take(Team& team, const Matrix& matrix, float scale);
  void round(Team& team);
  void move(Team& team, const Matrix& matrix, float keep, float rate);

  int rounds_;
  const KernelTable& k_;
  Storage x_, next_, gram_, polynomial_;
  std::int64_t short_ = 0, long_ = 0;  // sides of the matrix at hand: x is [short][long]
};

}  // namespace striate
