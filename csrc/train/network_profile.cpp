// Where a batch's time goes, layer by layer.
#include <algorithm>
#include <chrono>

#include "striate/error.h"
#include "train/network_state.h"

namespace striate {
namespace {

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

class Profiler {
 public:
  Profiler(const Plan& plan, const Graph& graph, const ParameterTable& table, std::int64_t samples)
      : plan_(plan), graph_(graph), table_(table), samples_(samples) {}

  // Which row of the profile an action belongs to; -1: none.
  int row_of(const Action& a) const {
    const int step = step_of(a);
    return step < 0 ? -1 : rows_[static_cast<std::size_t>(step)];
  }
  static bool forward(const Action& a) {
    switch (a.kind) {
      case ActionKind::kForward:
      case ActionKind::kGather:
      case ActionKind::kMeet:
      case ActionKind::kPack:
      case ActionKind::kForwardTasks:
        return true;
      default:
        return false;
    }
  }

  std::vector<LayerProfile> describe() {
    std::vector<LayerProfile> layers;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const PlannedStep& s = plan_.steps[i];
      rows_.push_back(s.node < 0 ? -1 : static_cast<int>(layers.size()));
      if (s.node >= 0) layers.push_back(layer(s, static_cast<int>(i)));
    }
    return layers;
  }

 private:
  int step_of(const Action& a) const {
    switch (a.kind) {
      case ActionKind::kLoad:
      case ActionKind::kLoss:
      case ActionKind::kStore:
      case ActionKind::kStoreGradient:
        return -1;
      case ActionKind::kForward:
      case ActionKind::kGather:
      case ActionKind::kMeet:
      case ActionKind::kPack:
      case ActionKind::kPackBackward:
      case ActionKind::kForwardTasks:
        return a.index;
      default:
        return plan_.backward[static_cast<std::size_t>(a.index)].step;
    }
  }

  LayerProfile layer(const PlannedStep& s, int step) const {
    LayerProfile l;
    const Node& node = graph_.nodes()[static_cast<std::size_t>(s.node)];
    l.name = node.name;
    for (int fused : s.fused)
      l.name += " + " + graph_.nodes()[static_cast<std::size_t>(fused)].name;
    l.method = s.step->method();
    l.macs = checked_mul(graph_.cost(s.node).macs, samples_);
    std::int64_t inputs = 0, weights = 0;
    for (int v : s.inputs) inputs += plan_.values[static_cast<std::size_t>(v)].shape.size();
    const std::int64_t output = plan_.values[static_cast<std::size_t>(s.output)].shape.size();
    for (int p = s.first_parameter; p < s.first_parameter + s.parameter_count; ++p)
      weights += table_.all()[static_cast<std::size_t>(p)].spec.shape.size();
    constexpr std::int64_t kFloat = sizeof(float);
    l.forward_bytes = kFloat * ((inputs + output) * samples_ + weights);
    for (const PlannedBackward& b : plan_.backward) {
      if (b.step != step) continue;
      l.backward_products = (b.wants_any_input() ? 1 : 0) + (b.wants_parameters ? 1 : 0);
      std::int64_t floats = output;  // dy
      if (s.step->backward_reads_x) floats += inputs;
      if (s.step->backward_reads_y) floats += output;
      if (b.wants_any_input()) floats += inputs;
      l.backward_bytes = kFloat * (floats * samples_ + (b.wants_parameters ? 2 : 1) * weights);
    }
    return l;
  }

  const Plan& plan_;
  const Graph& graph_;
  const ParameterTable& table_;
  std::int64_t samples_;
  std::vector<int> rows_;  // by step
};

}  // namespace

NetworkProfile Network::profile(const Batch& batch, bool training, int repeats) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  if (training) s_->require_thawed();
  s_->check_batch(batch, training);
  if (repeats < 1) throw ValueError("a profile repeats the batch at least once");
  State::Pass pass;
  pass.ready = &s_->ready(training ? PlanPurpose::kTrain : PlanPurpose::kPredict, batch.count);
  pass.batch = &batch;
  s_->run(pass);  // packs what persists, touches memory for the first time
  const Plan& plan = pass.ready->plan;
  const std::vector<Action>& actions = plan.timeline.actions;
  Profiler profiler(plan, s_->graph, s_->table, batch.count);
  NetworkProfile result;
  result.layers = profiler.describe();
  std::vector<std::vector<double>> seconds, by_action(actions.size());
  std::vector<double> whole;
  pass.seconds = &seconds;
  for (int r = 0; r < repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    s_->run(pass);
    whole.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    for (std::size_t a = 0; a < actions.size(); ++a) {
      double sum = 0.0;
      for (const std::vector<double>& of_rank : seconds) sum += of_rank[a];
      by_action[a].push_back(sum);
    }
  }
  result.seconds = median(whole);
  result.threads = static_cast<int>(seconds.size());
  for (std::size_t a = 0; a < actions.size(); ++a) {
    const int row = profiler.row_of(actions[a]);
    const double time = median(by_action[a]);
    if (row < 0)
      result.other += time;
    else if (Profiler::forward(actions[a]))
      result.layers[static_cast<std::size_t>(row)].forward += time;
    else
      result.layers[static_cast<std::size_t>(row)].backward += time;
  }
  return result;
}

}  // namespace striate
