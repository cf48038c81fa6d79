import AdaShareDatasets
import AdaShareMethods
import AdaShareSchema
import AdaShareTasks

extension ConfigurationReference {
    private typealias Field = ConfigurationField<ExperimentConfiguration>

    var datasetFields: [ConfigurationField<ExperimentConfiguration>] {
        let source = ReaderConfiguration.fields(of: vocabulary.readers).map { field in
            field.lifted(
                "dataset.", part: { (whole: ExperimentConfiguration) in whole.dataset.source },
                empty: { ReaderConfiguration(readers: vocabulary.readers) }, isWritten: { _ in true },
                set: { $0.dataset.source = $1 })
        }
        let augmentation = Augmentation.fields.map { field in
            field.lifted(
                "dataset.augmentation.", part: { (whole: ExperimentConfiguration) in whole.dataset.augmentation },
                empty: { DatasetConfiguration().augmentation }, isWritten: { _ in true },
                set: { $0.dataset.augmentation = $1 })
        }
        let crop = Field.key("dataset.crop", \.dataset.crop, in: 1...8192, "Size of a training crop.")
        let common: [ConfigurationField<ExperimentConfiguration>] = [
            .key("dataset.shuffle", \.dataset.shuffle, "Whether each pass takes the images in a new order."),
            .key(
                "dataset.on_error", \.dataset.onError,
                "What is done about an image that cannot be decoded: `stop`, or `skip`: training takes the next one of "
                    + "the pass instead and names it once, evaluation leaves it out and says how many."
            ).allowing(.free),
        ]
        let validation = Field.key(
            "dataset.validation", \.dataset.validation, limit: .from(0, below: 1),
            "Share of `train` kept out of training for validation, if the data set has no split `validation` (scenes "
                + "have: 80 % train, 10 % validation, 10 % test).")
        // Kind and folder first, what readers have of their own last.
        return Array(source[..<2]) + [crop] + augmentation + common + vocabulary.tasks.all.compactMap(conventionField)
            + [validation]
            + Array(source[2...])
    }

    /// The keys of a task's own data set.
    var taskDatasetFields: [ConfigurationField<TaskConfiguration>] {
        ReaderConfiguration.fields(of: vocabulary.readers).map { field in
            let meaning =
                field.path == "kind"
                ? "Images of its own for the task, from a data set of its own: every step has a batch and a pass for "
                    + "each data set. A task without uses `dataset`; tasks whose data sets are described alike share "
                    + "batch and pass. Crop, augmentation, order and share for validation are those of `dataset` for "
                    + "all."
                : "As `dataset.\(field.path)`, of the task's own data set."
            return field.lifted(
                "dataset.", part: { (task: TaskConfiguration) in task.dataset },
                empty: { ReaderConfiguration(readers: vocabulary.readers) }, isWritten: { $0.dataset != nil },
                set: { $0.dataset = $1 }, meaning: meaning)
        }
    }

    /// The key that says how tasks of a kind are trained.
    private func conventionField(_ kind: any TaskKind.Type) -> ConfigurationField<ExperimentConfiguration>? {
        guard let key = kind.conventionKey else { return nil }
        return .choice(
            key.path, of: MetricConvention.allCases.map(\.rawValue), defaultText: MetricConvention.exact.rawValue,
            key.meaning,
            word: { configuration in configuration.tasks.first { $0.kind == kind }?.convention.rawValue },
            choose: { configuration, word in
                guard let convention = MetricConvention(rawValue: word) else { return }
                for index in configuration.tasks.indices where configuration.tasks[index].kind == kind {
                    configuration.tasks[index].convention = convention
                }
            })
    }

    /// The choice of a method and every method's own keys.
    var methodFields: [ConfigurationField<ExperimentConfiguration>] {
        Field.kinds(
            "method", \.method, of: vocabulary.methods.all, "How the network is trained",
            more: "Methods with one phase train for as many steps as have gone into the weights that `adashare` ends "
                + "with: `training.retrain.iterations`, with `training.retrain.start: learned` those of all phases. ")
    }

    /// The choice of an objective and every objective's own keys.
    var objectiveFields: [ConfigurationField<ExperimentConfiguration>] {
        Field.kinds("objective", \.objective, of: vocabulary.objectives.all, "What is minimised", more: "")
    }

    static var modelFields: [ConfigurationField<ExperimentConfiguration>] {
        [
            Field.key("model.backbone", \.model.backbone, "Residual network: 8, 16, 16 or 33 blocks."),
            .key(
                "model.width", \.model.width, limit: .between(0.015625, 8),
                "Multiplier of the channel counts; 1 is published."),
            .key("model.head", \.model.head, "Head of a dense task: four dilated branches, or one 1×1 convolution."),
            .key(
                "model.precision", \.model.precision,
                "What convolutions multiply: float32, or on the matrix units of NVIDIA's processors tf32, float32 "
                    + "rounded to 10 bits of mantissa (errors of about 3·10⁻⁴ of a layer's range), or bfloat16, 7 "
                    + "bits (2 to 4·10⁻³), in which activations and their gradients are stored too, in half their "
                    + "memory. Sums, weights, their gradients, statistics and losses are float32. Devices without "
                    + "such units compute float32 and say so; `adashare devices` lists what each computes. Not "
                    + "together with `training.exact_convolutions`."),
            .key(
                "model.dropout", \.model.dropout, limit: .from(0, below: 1),
                "Probability of dropping an activation in the four-rate heads while training."),
            .key(
                "model.task_batch_norm", \.model.hasTaskBatchNorm,
                "Whether every task has batch norms of its own in the backbone, scales, shifts and statistics, while "
                    + "tasks share its convolutions. Needs images of its own for every task, `tasks[].dataset`."),
            .key(
                "model.initial_checkpoint", \.model.initialCheckpoint,
                "Safetensors file with weights to start from, in the published names or in torchvision's, such as a "
                    + "resnet34 that has learned on ImageNet; heads that it lacks start anew. A run keeps a copy."),
        ]
    }

    private static let shardMeaning = """
        Into how many equal parts `training.batch` is divided, a power of two. Each is computed alone, with \
        batch-norm statistics of its own; their gradients are summed, and one update follows. So a batch takes the \
        memory of a part, and the result is the same on however many devices ([docs/scaling.md](scaling.md)).
        """
    private static let verifyMeaning = """
        Iterations between two comparisons of the parameters of all processes, where several train together; 0 = never.
        """

    static var trainingFields: [ConfigurationField<ExperimentConfiguration>] {
        [
            Field.key(
                "training.seed", \.training.seed, in: .seeds,
                "Seed of weights, order, augmentation, dropout and policy noise."),
            .key("training.batch", \.training.batch, in: 1...65_536, "Images per step."),
            .key("training.shards", \.training.shards, in: 1...65_536, shardMeaning),
            .key(
                "training.log_every", \.training.logEvery, in: .fromOne,
                "Iterations between two lines of metrics.jsonl and of the progress."
            ).allowing(.free),
            .key(
                "training.checkpoint_every", \.training.checkpointEvery, in: .fromOne,
                "Iterations between two checkpoints: the most a resumed run repeats."
            ).allowing(.free),
            .key(
                "training.evaluate_every", \.training.evaluateEvery, in: .fromZero,
                "Iterations between two evaluations on the validation split, of which each phase keeps the best "
                    + "weights (mean over tasks of the mean over metrics of the gain relative to the end of warm-up; "
                    + "in policy learning only once every block is open); 0 = at the ends of phases only, keeping "
                    + "the last weights."
            ).allowing(.free),
            .key("training.verify_every", \.training.verifyEvery, in: .fromZero, verifyMeaning).allowing(.free),
            .key(
                "training.tensorboard", \.training.tensorboard,
                "Whether losses, rates, metrics, the policy and some predictions are also written for TensorBoard, as "
                    + "events.out.tfevents.* in the run's folder."
            ).allowing(.free),
            .key(
                "training.warmup.iterations", \.training.warmup.iterations, in: .fromZero,
                "Steps with hard sharing, weights only."
            ).allowing(.longer),
            .key(
                "training.policy.iterations", \.training.policy.iterations, in: .fromZero,
                "Steps of policy learning; a weight step and a logit step each count one."
            ).allowing(.longer),
            .key(
                "training.trials.iterations", \.training.trials.iterations, in: .fromZero,
                "Steps, in all, of trials between policy learning and retraining. Candidates, which are what "
                    + "`policy.discrete` chooses among, hard sharing's decisions and policies in which one task takes "
                    + "blocks in turn with the others, each made to fit the budget, are trained for equal parts of the "
                    + "first half, from what retraining starts from and with its falling rates; the better third of "
                    + "them again, for equal parts of the other half. The one of these with the best mean of its two "
                    + "scores on the validation split is the discrete policy. 0: no trials."
            ).allowing(.longer),
            .key(
                "training.retrain.iterations", \.training.retrain.iterations, in: .fromZero,
                "Steps with the discrete policy, weights only."
            ).allowing(.longer),
            .key(
                "training.retrain.start", \.training.retrain.start,
                "Whether retraining starts from new weights or from those of policy learning."),
            .key(
                "training.learning_rate.heads", \.training.learningRate.heads, limit: .above(0),
                "Learning rate of the heads."),
            .key(
                "training.learning_rate.backbone", \.training.learningRate.backbone, limit: .above(0),
                "Learning rate of stem, projections and blocks."),
            .key(
                "training.learning_rate_decay.factor", \.training.learningRateDecay.factor, limit: .above(0, to: 1),
                "Factor on the learning rates at each step of their decay, wherever no policy is learned."),
            .key(
                "training.learning_rate_decay.every", \.training.learningRateDecay.every, in: .fromZero,
                "Iterations between two steps of the decay; 0 = no decay."),
            .key(
                "training.learning_rate_decay.scope", \.training.learningRateDecay.scope,
                "Which learning rates decay."),
            .key(
                "training.weight_decay", \.training.weightDecay, limit: .atLeast(0),
                "Coupled (L2) decay of all weights."),
            .key(
                "training.momentum", \.training.momentum, limit: .from(0, below: 1),
                "SGD momentum of the weights in policy learning."),
            .key(
                "training.adam.beta1", \.training.adam.beta1, limit: .from(0, below: 1),
                "β₁ of the weights' Adam, wherever no policy is learned."),
            .key(
                "training.adam.beta2", \.training.adam.beta2, limit: .from(0, below: 1),
                "β₂ of the weights' Adam, wherever no policy is learned."),
            .key("training.adam.epsilon", \.training.adam.epsilon, limit: .above(0), "ε of the weights' Adam."),
            .key(
                "training.recompute", \.training.recompute,
                "Whether the backward pass computes the branches of the blocks again instead of keeping their "
                    + "activations: less memory, about a third more time, the same bits."
            ).allowing(.free),
            .key(
                "training.exact_convolutions", \.training.exactConvolutions,
                "Whether convolutions keep to algorithms that round as the plain sum does. Otherwise 3×3 "
                    + "convolutions of stride 1 on CPUs use Winograd's F(m×m, 3×3): up to three times as fast, "
                    + "rounding errors up to ten times larger; and 1×1 convolutions on GPUs may be CLBlast's. Needs "
                    + "`model.precision: float32`."
            ),
            .key(
                "training.hard_sharing_baseline", \.training.hardSharingBaseline,
                "Whether `adashare` trains hard sharing too, for the retraining's iterations, to compare with."),
            .key(
                "training.narrow_baselines", \.training.narrowBaselines,
                limit: ConfigurationLimit(text: "above 0 and below 1, each once") { list in
                    list.allSatisfy { $0 > 0 && $0 < 1 } && Set(list).count == list.count
                },
                "Factors on `model.width` at which hard sharing is trained too, for the retraining's iterations, under "
                    + "`hard_sharing/<factor>` of the run: what a smaller network reaches in the same time. It starts "
                    + "from new weights."
            ),
        ]
    }

    static var policyFields: [ConfigurationField<ExperimentConfiguration>] {
        [
            Field.key("policy.sparsity", \.policy.sparsity, limit: .atLeast(0), "Weight λ_sp of the sparsity loss."),
            .key("policy.sharing", \.policy.sharing, limit: .atLeast(0), "Weight λ_sh of the sharing loss."),
            .key(
                "policy.sparsity_form", \.policy.sparsityForm,
                "`paper`: Σ log α. `published`: mean over open blocks of −log(1−α), bounded."),
            .key(
                "policy.sharing_form", \.policy.sharingForm,
                "`paper`: differences of α, bottom blocks weighted most. `published`: raw logits, top blocks most."),
            .key(
                "policy.sparsity_layer_weights", \.policy.sparsityLayerWeights,
                "Published sparsity with `policy.sharing` 0: weigh block l by 2l/L."),
            .key(
                "policy.sampling", \.policy.sampling,
                "Decisions in policy learning. `soft`: mixed by Gumbel-Softmax. `straight_through`: one-hot with the "
                    + "soft gradient; both sides are computed, so that the gradient is exact. `hard_skip`: one-hot, "
                    + "and only what was drawn is computed; a skipped block changes nothing of its weights in that "
                    + "step, and its logit gets the regularisers' gradient only."
            ),
            .key(
                "policy.budget", \.policy.budget, defaultText: "null",
                "Most that the policy may cost: a share of hard sharing's cost as `policy.budget_for` counts it, or "
                    + "milliseconds of a step. Policy learning is steered to it, and the discrete policy stays "
                    + "within it where one can (`argmax` is not held to it); null leaves the cost free. With "
                    + "`policy.cost: passes` the share is of a full pass per task."
            ) {
                guard let budget = $0.policy.budget else { return }
                $0.policy.discrete = .budget
                if case .milliseconds = budget { $0.policy.budgetFor = .inference }
            },
            .key(
                "policy.budgets", \.policy.budgets,
                limit: ConfigurationLimit(text: "each once") { Set($0).count == $0.count },
                "Instead of `policy.budget`, several: one policy learning, steered to the largest, then for each a "
                    + "discrete policy of the same probabilities and a retraining under `retrain/<budget>` of the "
                    + "run."
            ) {
                guard !$0.policy.budgets.isEmpty else { return }
                $0.policy.discrete = .budget
                if $0.policy.budgets.contains(where: { if case .milliseconds = $0 { true } else { false } }) {
                    $0.policy.budgetFor = .inference
                }
            },
            .key(
                "policy.budget_for", \.policy.budgetFor,
                defaultText: "macs; inference where a budget is in milliseconds",
                "What budgets count. `macs`: multiply-accumulates of the backbone. `inference`, `training`: the "
                    + "measured time of such a step of `training.batch` images at the size of a crop, heads "
                    + "included; each part of the network is measured once on the device and kept beside its "
                    + "algorithms."),
            .key(
                "policy.budget_schedule", \.policy.budgetSchedule,
                "What policy learning is steered to. `constant`: the budget from the start. `falling`: from "
                    + "everything down to the budget in a straight line over four fifths of the policy epochs, so "
                    + "that what matters least goes first."
            ),
            .key(
                "policy.cost", \.policy.cost,
                "How costs add up. `passes`: one pass per task, of as many. `shared`: what remains when blocks below "
                    + "which tasks have decided alike run once, so that agreeing early pays, of one pass for all "
                    + "tasks."
            ),
            .key(
                "policy.budget_weight", \.policy.budgetWeight, limit: .above(0),
                "Weight of the distance between expected cost and budget."),
            .key(
                "policy.shared_blocks", \.policy.sharedBlocks, in: 0...32,
                "The first so many blocks, which every task selects; the policy of the others is learned. They have to "
                    + "be fewer than the network has."),
            .key(
                "policy.curriculum", \.policy.curriculum,
                "Whether blocks get a free policy one after another; otherwise every block has one from the start."),
            .key(
                "policy.curriculum_speed", \.policy.curriculumSpeed, in: 1...1_000_000,
                "Policy epochs after which the curriculum opens one block more, from the top."),
            .key(
                "policy.temperature", \.policy.temperature, limit: .above(0),
                "Temperature τ of the first policy epoch; of methods that decide on each image, of the first pass over "
                    + "the training images."),
            .key(
                "policy.temperature_decay", \.policy.temperatureDecay, limit: .above(0, to: 1),
                "Factor on τ after each policy epoch, or each such pass."),
            .key(
                "policy.learning_rate", \.policy.learningRate, limit: .above(0),
                "Adam's learning rate for the logits."),
            .key("policy.weight_decay", \.policy.weightDecay, limit: .atLeast(0), "Coupled (L2) decay of the logits."),
            .key("policy.adam.beta1", \.policy.adam.beta1, limit: .from(0, below: 1), "β₁ of the logits' Adam."),
            .key("policy.adam.beta2", \.policy.adam.beta2, limit: .from(0, below: 1), "β₂ of the logits' Adam."),
            .key("policy.adam.epsilon", \.policy.adam.epsilon, limit: .above(0), "ε of the logits' Adam."),
            .key(
                "policy.initial", \.policy.initial,
                "Logits at the start: both equal to the scale, normal with that deviation, or (0, −scale)."
            ) { $0.policy.initialScale = $0.policy.initial.defaultScale },
            .key(
                "policy.initial_scale", \.policy.initialScale, limit: .atLeast(0),
                defaultText: "by policy.initial: equal 0.5; normal 0.001; all_chosen 3",
                "The number that `policy.initial` speaks of."),
            .key(
                "policy.alternation.weights", \.policy.alternation.weights, in: .fromOne,
                "Weight steps on `train1` in each policy epoch."),
            .key(
                "policy.alternation.logits", \.policy.alternation.logits, in: .fromOne,
                "Logit steps on `train2` in each policy epoch."),
            .key(
                "policy.discrete", \.policy.discrete, defaultText: "sample; budget where there is a budget",
                "Discrete policy. `argmax`: select where α ≥ ½. `sample`: drawn from Bernoulli(α), within the "
                    + "budget. `budget`: the most probable one within the budget. `frontier`: of that one and less "
                    + "probable ones that make more of the budget, the best on the validation split, scored with the "
                    + "weights of policy learning and each one's own batch-norm statistics."),
            .key(
                "policy.samples", \.policy.samples, in: 1...4096,
                "Policies drawn by `sample`, of which the best is kept."),
        ]
    }
}
