package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"metalora/adapters"
	"metalora/eval"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
	"metalora/pipeline/hub"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// methodsByKind are the retraining methods, by the kind in their names; "none" has no training.
var methodsByKind = map[string]train.Method{
	"sr": train.SR, "sr-mixed": train.SRMixed, "sr-heads": train.SRHeads, "sr-lora": train.SRLoRA,
	"meta-lora": train.MetaLoRA, "meta-lora-symmetric": train.MetaLoRA, "meta-last-layer": train.MetaLastLayer,
	"reptile": train.Reptile, "fomaml": train.FOMAML, "anil": train.ANIL,
}

// retraining is a retraining unit under way.
type retraining struct {
	*executor
	unit   *Unit
	base   *models.Folder
	lora   adapters.LoRA
	sites  []adapters.Site
	method train.Method
	kept   []safetensors.Tensors // shared, then each task's own, as they were after the best epoch
}

// runRetrain retrains a base on all retraining tasks and writes it without heads and adapters.
func (e *executor) runRetrain(ctx context.Context, u *Unit, dir string, p Progress) error {
	if u.Method == "none" && !e.crew.leads() {
		return nil
	}
	base, err := loadBase(e.config, e.tokenizer, u.Seed)
	if err != nil {
		return err
	}
	result := &Result{Unit: u.ID, Kind: u.Kind, Method: u.Method, Seed: u.Seed, RateFactor: u.RateFactor, Notes: e.notes}
	r := &retraining{executor: e, unit: u, base: base}
	if u.Method != "none" {
		if err := r.train(ctx, result, dir, p); err != nil {
			return errors.Join(err, r.rescue(err))
		}
	}
	if !e.crew.leads() {
		return nil
	}
	return errors.Join(r.save(dir), result.write(dir))
}

func (r *retraining) train(ctx context.Context, result *Result, dir string, p Progress) error {
	s, err := r.settings(result)
	if err != nil {
		return err
	}
	s.checkpoints, s.events = newCheckpoints(r.config, r.unit, p), newEvents(r.unit, p)
	s.ranks = r.crew.share()
	t, err := newSession(s, result, dir, p)
	if err != nil {
		return err
	}
	t.onEpoch = func(epoch eval.Epoch, _ [][]eval.TurnScore) error {
		if r.crew.leads() && (t.kept == nil || epoch.HeldOut.Accuracy > result.keptAccuracy()) {
			result.Kept = epoch.Epoch
			if t.checkpoints != nil {
				t.checkpoints.unread() // of the epoch that was kept before
			}
			t.kept = snapshotInto(t.kept, append([]safetensors.Tensors{s.shared}, s.own...))
		}
		return nil
	}
	err = errors.Join(t.do(ctx), t.close())
	r.kept = t.kept
	return err
}

// settings draws what is new at the start: heads, and adapters where the method has them.
func (r *retraining) settings(result *Result) (settings, error) {
	c, u := r.config, r.unit
	variant, err := ParseMethod(u.Method)
	if err != nil {
		return settings{}, fault.Usage(err)
	}
	r.method = methodsByKind[variant.Kind]
	spec := train.Spec{Architecture: r.base.Architecture, Dropout: c.dropout(), Trains: r.method.Trains, Threads: c.Threads, Spin: c.Spin, NoKernels: !c.Kernels, Device: c.Device}
	if r.method.Moves().Has(train.Adapter) {
		r.lora = c.Retrain.LoRA.lora(variant.Rank)
		r.lora.Symmetric = variant.Kind == "meta-lora-symmetric"
		if r.sites, err = sites(r.base.Architecture, r.lora); err != nil {
			return settings{}, err
		}
		spec.Sites, spec.LoRADropout = r.sites, r.lora.Dropout
	}
	tasks, cut, err := r.encodeAll(r.retrain, c.Data.Turns.Retrain, r.base.Architecture)
	if err != nil {
		return settings{}, err
	}
	result.Cut = cut
	s := settings{method: r.method, spec: spec, tasks: tasks, batch: c.Retrain.Batch, epochs: c.Retrain.Epochs,
		adamW: c.Optimizer.adamW(), skip: c.Optimizer.SkipBroken, keeps: r.crew.leads(), memory: c.Memory, stream: []any{"retrain", u.Method}, seed: uint64(u.Seed)}
	r.rates(&s)
	r.weights(&s)
	return s, nil
}

// rates sets the schedule, and the inner loop where the method has one.
func (r *retraining) rates(s *settings) {
	c, factor := r.config, r.unit.RateFactor
	peak := c.Retrain.LearningRate * factor
	if inner := r.method.Inner; inner != nil {
		peak = c.Retrain.Inner.OuterLearningRate * factor
		s.inner.rate, s.inner.adamW = c.Retrain.Inner.LearningRate*factor, s.adamW
		s.inner.adamW.WeightDecay = c.Retrain.Inner.WeightDecay
		_, s.inner.steps = c.Retrain.Inner.steps(inner)
	}
	s.schedule = func(plan train.Plan, first int) train.Schedule {
		return c.schedule(peak, stageRetrain, plan, first, c.Retrain.Epochs)
	}
}

// weights parts the base's weights, and those drawn for the start, into shared ones and each task's own.
func (r *retraining) weights(s *settings) {
	encoder, head := models.Split(r.base.Architecture, r.base.Tensors)
	if r.method.PerTask == 0 {
		s.shared = merged(encoder, r.sharedHead(head))
		if len(r.sites) > 0 {
			s.shared = merged(s.shared, adapters.Init(r.sites, rng.New(uint64(r.unit.Seed), "retrain", "adapter")))
		}
		return
	}
	s.shared = encoder
	for _, task := range s.tasks {
		start := task.Name
		if r.method.Inner != nil {
			start = "every task" // MAML adapts from one point to all tasks
		}
		s.own = append(s.own, r.fresh(start))
	}
}

// sharedHead is the base's own head, copied, since training moves it and a pooler is saved as it was. What it lacks is fresh
// as Hugging Face starts it: N(0, 0.02²), zero bias.
func (r *retraining) sharedHead(head safetensors.Tensors) safetensors.Tensors {
	head = head.Clone()
	if r.base.HasHead {
		return head
	}
	return merged(models.StartHead(r.base.Architecture, rng.New(uint64(r.unit.Seed), "retrain", "head")), head)
}

// fresh draws what a task owns: a head, and an adapter where the method has them.
func (r *retraining) fresh(task string) safetensors.Tensors {
	seed := uint64(r.unit.Seed)
	own := freshHead(r.base, rng.New(seed, "retrain", "head", task))
	if r.method.PerTask.Has(train.Adapter) {
		own = merged(own, adapters.Init(r.sites, rng.New(seed, "retrain", "adapter", task)))
	}
	return own
}

// save writes the kept weights as a Hugging Face folder without heads and adapters, and those beside it.
func (r *retraining) save(dir string) error {
	shared := r.base.Tensors
	if r.kept != nil {
		shared = r.kept[0]
	}
	if r.kept != nil && r.method.PerTask == 0 && len(r.sites) > 0 {
		var err error
		if shared, err = mergedLoRA(shared, r.lora); err != nil {
			return fmt.Errorf("saving the retrained model: %w", err)
		}
	}
	encoder, head := models.Split(r.base.Architecture, shared)
	model := filepath.Join(dir, "model")
	kept := merged(encoder, models.Poolers(r.base.Architecture, r.base.Tensors))
	tokenizer, err := hub.Locate(r.config.Model.Tokenizer)
	if err == nil {
		err = errors.Join(r.base.Architecture.Save(model, kept, tokenizer), r.saveTokenizer(model))
	}
	if err != nil {
		return fmt.Errorf("saving the retrained model: %w", err)
	}
	if r.kept == nil {
		return nil
	}
	return r.saveDiscarded(filepath.Join(dir, "discarded"), head)
}

// mergedLoRA folds the adapter among a model's weights into them.
func mergedLoRA(weights safetensors.Tensors, lora adapters.LoRA) (safetensors.Tensors, error) {
	plain, adapter := safetensors.Tensors{}, safetensors.Tensors{}
	for name, t := range weights {
		if strings.Contains(name, ".lora_") {
			adapter[name] = t
		} else {
			plain[name] = t
		}
	}
	return adapters.Merge(plain, &adapters.Adapter{LoRA: lora, Tensors: adapter})
}

// saveDiscarded keeps what the method throws away: the shared head, or each task's head and adapter.
func (r *retraining) saveDiscarded(dir string, head safetensors.Tensors) error {
	if len(head) > 0 {
		return saveTensors(filepath.Join(dir, "head.safetensors"), head)
	}
	for i, own := range r.kept[1:] {
		task := filepath.Join(dir, r.retrain[i].Name)
		if !r.method.PerTask.Has(train.Adapter) {
			if err := saveTensors(filepath.Join(task, "head.safetensors"), own); err != nil {
				return err
			}
			continue
		}
		a := &adapters.Adapter{LoRA: r.lora, Base: "../../model", Tensors: adapters.Explicit(r.sites, own), Modules: headModules(r.base.Architecture)}
		if err := a.Save(task); err != nil {
			return fmt.Errorf("saving the discarded adapter of %s: %w", r.retrain[i].Name, err)
		}
	}
	return nil
}

// rescue keeps the last good weights of a training whose numbers broke, in the unit's working folder.
func (r *retraining) rescue(cause error) error {
	if r.kept == nil || fault.Code(cause) != fault.CodeNumbers {
		return nil
	}
	return r.save(filepath.Join(r.unit.Work, "last-good"))
}

func saveTensors(path string, t safetensors.Tensors) error {
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return safetensors.Save(path, t, map[string]string{"format": "pt"})
}
