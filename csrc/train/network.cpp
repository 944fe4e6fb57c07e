#include "striate/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "striate/error.h"
#include "striate/system.h"
#include "striate/threads.h"
#include "train/network_state.h"

namespace striate {

Network::Network(Graph graph, std::vector<ValueId> outputs, std::uint64_t seed)
    : s_(std::make_unique<State>(std::move(graph), std::move(outputs), seed)) {}
Network::Network(Graph graph, ValueId output, std::uint64_t seed)
    : Network(std::move(graph), std::vector<ValueId>{output}, seed) {}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const Graph& Network::graph() const { return s_->graph; }
std::size_t Network::input_count() const { return s_->graph.inputs().size(); }
std::size_t Network::output_count() const { return s_->outputs.size(); }
const Shape& Network::input_shape(std::size_t input) const {
  return s_->graph.shape(s_->graph.inputs().at(input));
}
const Shape& Network::output_shape(std::size_t output) const {
  return s_->graph.shape(s_->outputs.at(output));
}
std::uint64_t Network::seed() const { return s_->seed; }

std::vector<ParameterInfo> Network::parameters() const {
  std::vector<ParameterInfo> infos;
  for (const Parameter& p : s_->table.all())
    infos.push_back({p.name, p.layer, p.spec.shape, p.spec.trainable, p.spec.count});
  return infos;
}

const float* Network::parameter(int index) const {
  const std::lock_guard<std::mutex> lock(s_->busy);
  return s_->values.at(s_->index(index));
}

void Network::copy_parameter(int index, float* to) const {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->values.copy(s_->index(index), to);
}

void Network::set_parameter(int index, const float* values) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->values.set(s_->index(index), values);
  ++s_->version;
}

void Network::set_trainable(int index, bool trainable) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  const std::size_t i = s_->index(index);
  if (trainable && s_->table.all()[i].spec.fixed)
    throw ValueError(s_->table.all()[i].name + " is never trained");
  s_->use_average(false);
  s_->table.all()[i].spec.trainable = trainable;
  s_->kept_penalty_version = 0;
  s_->plans.clear();
}

void Network::set_layer_trainable(const std::string& layer, bool trainable) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->table.require_layer(layer);
  s_->use_average(false);
  s_->table.set_frozen(layer, !trainable);
  s_->plans.clear();
  s_->kept_penalty_version = 0;
}

void Network::set_regularizer(int index, double l1, double l2) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  ParameterRule& rule = s_->rules[s_->index(index)];
  for (const double factor : {l1, l2})
    if (!std::isfinite(factor) || factor < 0.0)
      throw ValueError("a regularizer's factors must be finite and at least 0, got " +
                       std::to_string(factor));
  rule.l1 = l1;
  rule.l2 = l2;
  s_->kept_penalty_version = 0;
  s_->plans.clear();
}

void Network::set_weight_decay(int index, bool on) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->rules[s_->index(index)].weight_decay = on;
}

void Network::set_learning_rate_multiplier(int index, double factor) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  if (!std::isfinite(factor) || factor < 0.0)
    throw ValueError("a learning rate's multiplier must be finite and at least 0, got " +
                     std::to_string(factor));
  s_->rules[s_->index(index)].rate = static_cast<float>(factor);
}

void Network::set_orthogonal(int index, bool on) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  const std::size_t i = s_->index(index);
  const Parameter& p = s_->table.all()[i];
  const Shape& shape = p.spec.shape;
  if (on && (shape.rank() < 2 || !p.spec.mask.empty()))
    throw ValueError(p.name + ": " + shape.str() + " is no matrix that could be orthogonal");
  ParameterRule& rule = s_->rules[i];
  rule.orthogonal = on;
  rule.outputs = on ? shape[shape.rank() - 1] : 0;
  rule.rows = on ? shape.size() / rule.outputs : 0;
}

std::uint64_t Network::weights_hash() const {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->values.draw_all();
  std::uint64_t h = 0xcbf29ce484222325u;
  for (std::size_t i = 0; i < s_->table.all().size(); ++i) {
    const std::size_t n = static_cast<std::size_t>(s_->table.all()[i].spec.shape.size());
    for (std::size_t k = 0; k < n; ++k) {
      std::uint32_t bits;
      std::memcpy(&bits, s_->values.each()[i] + k, sizeof(bits));
      for (int byte = 0; byte < 4; ++byte, bits >>= 8) h = (h ^ (bits & 0xff)) * 0x100000001b3u;
    }
  }
  return h;
}

void Network::compile(const LossOptions& loss, const OptimizerOptions& optimizer) {
  compile_outputs(std::vector<OutputLoss>{{loss, 1.0, false}}, optimizer);
}

void Network::compile_outputs(std::vector<OutputLoss> losses, const OptimizerOptions& optimizer) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_thawed();
  if (losses.size() != output_count())
    throw ValueError("the network has " + std::to_string(output_count()) + " outputs, got " +
                     std::to_string(losses.size()) + " losses");
  bool any = false;
  for (std::size_t k = 0; k < losses.size(); ++k) {
    if (losses[k].none) continue;
    any = true;
    check_loss(losses[k].options, output_shape(k));
    if (!std::isfinite(losses[k].weight))
      throw ValueError("a loss weight must be finite, got " + std::to_string(losses[k].weight));
  }
  if (!any) throw ValueError("no output has a loss: there is nothing to train");
  auto fresh = std::make_unique<GradientUpdate>(optimizer, s_->kernels);
  s_->use_average(false);
  s_->plans.clear();
  s_->update = std::move(fresh);
  s_->losses = std::move(losses);
  s_->compiled = true;
  s_->iterations = 0;
  s_->curvature = Storage();
  s_->schedule = {};
  s_->schedule.initial = optimizer.learning_rate;
}

void Network::set_schedule(const Schedule& schedule) {
  schedule.check();
  s_->schedule = schedule;
}

void Network::set_learning_rate(double rate) {
  Schedule constant;
  constant.initial = rate;
  set_schedule(constant);
}

double Network::learning_rate() const { return s_->schedule.rate(s_->iterations); }
std::int64_t Network::iterations() const { return s_->iterations; }
void Network::set_iterations(std::int64_t iterations) {
  if (iterations < 0) throw ValueError("iterations must be at least 0");
  s_->iterations = iterations;
}
std::uint32_t Network::samples_seen() const { return s_->samples_seen; }
void Network::set_samples_seen(std::uint32_t samples) { s_->samples_seen = samples; }
void Network::set_precision(Precision precision) {
  if (precision == Precision::kBfloat16 && !has_bfloat16())
    throw ValueError("precision bfloat16 needs a CPU with AVX512-BF16 and its kernels; in use is " +
                     isa());
  const std::lock_guard<std::mutex> lock(s_->busy);
  if (precision == s_->precision) return;
  s_->precision = precision;
  s_->plans.clear();
}
Precision Network::precision() const { return s_->precision; }
void Network::freeze() {
  const std::lock_guard<std::mutex> lock(s_->busy);
  State& s = *s_;
  s.values.draw_all();
  s.frozen = true;
  s.update.reset();
  s.average_in_use = false;
  for (Storage* memory : {&s.curvature, &s.batch_arena, &s.fixed_arena, &s.shards})
    *memory = Storage();
  s.plans.clear();
  s.arenas.clear();
  s.shard_parameters.clear();
  s.shard_pointers.clear();
}
bool Network::frozen() const { return s_->frozen; }
void Network::set_check_numerics(bool on) { s_->numerics = on; }
bool Network::check_numerics() const { return s_->numerics; }

BatchLoss Network::train_batch(const Batch& batch, const std::vector<float*>& outputs) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_thawed();
  s_->check_batch(batch, true);
  GradientUpdate& update = *s_->update;
  if (update.options().kind == OptimizerKind::kSdlm && s_->curvature.size() == 0)
    throw ValueError("sdlm needs curvatures: call estimate_curvature first");
  s_->use_average(false);
  State::Pass pass;
  pass.ready = &s_->ready(PlanPurpose::kTrain, batch.count);
  pass.batch = &batch;
  pass.outputs = &outputs;
  pass.update = &update;
  pass.update_state = true;
  update.begin(s_->schedule.rate(s_->iterations), s_->iterations,
               {s_->values.data(), s_->table.floats(), s_->curvature.data(), &s_->rules,
                &pass.ready->chunks});
  BatchLoss result = s_->run(pass);
  result.loss += update.penalty();
  ++s_->version;
  ++s_->iterations;
  s_->samples_seen += static_cast<std::uint32_t>(batch.count);
  return result;
}

BatchLoss Network::test_batch(const Batch& batch, const std::vector<float*>& outputs) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->check_batch(batch, true);
  State::Pass pass;
  pass.ready = &s_->ready(PlanPurpose::kTest, batch.count);
  pass.batch = &batch;
  pass.outputs = &outputs;
  BatchLoss result = s_->run_in_pieces(pass);
  result.loss += s_->penalty();
  return result;
}

void Network::predict(const Batch& batch, const std::vector<float*>& outputs) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->check_batch(batch, false);
  State::Pass pass;
  pass.ready = &s_->ready(PlanPurpose::kPredict, batch.count);
  pass.batch = &batch;
  pass.outputs = &outputs;
  s_->run_in_pieces(pass);
}

BatchLoss Network::gradients(const Batch& batch, bool training,
                             const std::vector<float*>& parameter_gradients,
                             const std::vector<float*>& input_gradients) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_thawed();
  s_->check_batch(batch, true);
  State::Pass pass;
  pass.ready =
      &s_->ready(training ? PlanPurpose::kTrainingGradients : PlanPurpose::kGradients, batch.count);
  pass.batch = &batch;
  pass.input_gradients = &input_gradients;
  auto add_penalty = [&](const GradientChunk& c, float* gradient) {
    if (s_->table.all()[c.parameter].spec.trainable)
      regularize(s_->rules[c.parameter], c, s_->values.data(), gradient, s_->kernels);
  };
  FunctionRef<void(const GradientChunk&, float*)> reduce(add_penalty);
  pass.reduce = &reduce;
  BatchLoss result = s_->run(pass);
  result.loss += s_->penalty();
  for (std::size_t i = 0; i < input_gradients.size(); ++i)  // of inputs that nothing reads
    if (input_gradients[i] && pass.ready->plan.inputs[i] < 0)
      std::fill_n(input_gradients[i], batch.count * input_shape(i).size(), 0.0f);
  if (!parameter_gradients.empty())
    for (std::size_t i = 0; i < s_->table.all().size(); ++i) {
      const Parameter& p = s_->table.all()[i];
      std::memcpy(parameter_gradients[i], s_->shard_parameters[0][i],
                  static_cast<std::size_t>(p.spec.shape.size()) * sizeof(float));
    }
  return result;
}

void Network::estimate_curvature(const Batch& batch) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_thawed();
  s_->check_batch(batch, true);
  State::Pass pass;
  pass.ready = &s_->ready(PlanPurpose::kCurvature, batch.count);
  pass.batch = &batch;
  pass.order = 2;
  // Second-order backward runs on squared weights, packed as the gradient's are.
  Storage squares(s_->table.floats()), packed(pass.ready->plan.packed_floats);
  s_->kernels.multiply(s_->table.floats(), s_->values.data(), s_->values.data(), squares.data());
  std::vector<const float*> each;
  for (const Parameter& p : s_->table.all()) each.push_back(squares.data() + p.offset);
  const ParameterView back{each.data(), packed.data()};
  pass.backward_params = &back;
  const Executor executor(pass.ready->plan, s_->graph, s_->table, s_->kernels);
  parallel_region(1, [&](Team& team) { executor.pack(team, back, true); });
  Storage diagonal(s_->table.floats());
  auto keep = [&](const GradientChunk& c, const float* h) {
    const float penalty = 2.0f * static_cast<float>(s_->rules[c.parameter].l2);
    for (std::int64_t i = 0; i < c.n; ++i) diagonal.data()[c.begin + i] = h[i] + penalty;
  };
  FunctionRef<void(const GradientChunk&, float*)> reduce(keep);
  pass.reduce = &reduce;
  s_->run(pass);
  s_->curvature = std::move(diagonal);
}

const float* Network::curvature(int parameter) const {
  if (s_->curvature.size() == 0)
    throw ValueError("no curvature yet: call estimate_curvature first");
  return s_->curvature.data() + s_->table.all()[s_->index(parameter)].offset;
}

std::int64_t Network::flat_size() const { return s_->table.floats(); }

std::map<std::string, const float*> Network::optimizer_state() const {
  if (s_->average_in_use)
    throw ValueError("the averages are in the parameters' place: call use_average(false) first");
  std::map<std::string, const float*> slots;
  if (s_->update)
    for (const Optimizer::Slot* slot : s_->update->slots()) slots[slot->name] = slot->values.data();
  return slots;
}

void Network::set_optimizer_state(const std::map<std::string, const float*>& slots) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_thawed();
  if (!s_->update) throw ValueError("the network has no optimizer yet: call compile first");
  if (s_->average_in_use)
    throw ValueError("the averages are in the parameters' place: call use_average(false) first");
  std::vector<Optimizer::Slot> fresh;
  for (const std::string& name : s_->update->slot_names()) {
    const auto found = slots.find(name);
    if (found == slots.end()) throw ValueError("the optimizer's slot \"" + name + "\" is missing");
    fresh.push_back({name, Storage(s_->table.floats())});
    std::memcpy(fresh.back().values.data(), found->second,
                static_cast<std::size_t>(s_->table.floats()) * sizeof(float));
  }
  if (fresh.size() != slots.size())
    throw ValueError("the state has slots that this optimizer does not use");
  s_->update->set_slots(std::move(fresh));
}

void Network::use_average(bool on) {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_average();
  s_->use_average(on);
}

bool Network::average_in_use() const { return s_->average_in_use; }

void Network::overwrite_with_average() {
  const std::lock_guard<std::mutex> lock(s_->busy);
  s_->require_average();
  const float* average = s_->update->average();
  if (!average) return;
  s_->use_average(false);
  for (const Parameter& p : s_->table.all())
    if (p.spec.trainable)
      std::memcpy(s_->values.data() + p.offset, average + p.offset,
                  static_cast<std::size_t>(p.spec.shape.size()) * sizeof(float));
  ++s_->version;
}

MemoryUse Network::memory(std::int64_t batch, bool training) const {
  if (batch < 1) throw ValueError("a batch has at least 1 sample, got " + std::to_string(batch));
  const std::lock_guard<std::mutex> lock(s_->busy);
  const PlanPurpose purpose = training ? PlanPurpose::kTrain : PlanPurpose::kPredict;
  const Plan plan =
      make_plan(s_->graph, s_->outputs, s_->table, s_->plan_options(purpose, batch), s_->kernels);
  return s_->memory(plan, batch);
}

}  // namespace striate
