package models

// family is what the models of one model_type have of their own. Everything else they share: embeddings, encoder layers
// of attention and a feed-forward part (Vaswani et al. 2017, normalised after each residual sum), a head on the first token.
type family struct {
	class    string            // what the names of its classes in Hugging Face's library start with
	prefix   string            // of the encoder's tensors
	layers   string            // module that holds the layers, below the prefix
	layer    layerNames        // modules of a layer
	head     headNames         // modules of the head
	renamed  map[string]string // fields of config.json that have another name than BERT's; "" for those it does not have
	typed    bool              // has an embedding of segments
	segments bool              // looks up each token's segment there; else all are of segment 0
	padded   bool              // positions count from pad_token_id + 1 over all tokens but pads, and the table has a pad row
	defaults func(*Config)     // what a field is where config.json leaves it out; DefaultConfig's are set before
}

// layerNames are the modules of an encoder layer.
type layerNames struct {
	query, key, value        string
	attention, attentionNorm string // the projection of what attention gives, and the norm behind its residual
	inner, outer, outerNorm  string // the feed-forward part, hidden -> intermediate -> hidden, and the norm behind its residual
	keepsAttention           bool   // what attention gives is added as it is: DistilBERT drops nothing there
}

// headNames are the two linear layers of a head: logits = outer(drop(activation(inner(x)))), x the first token's state.
type headNames struct {
	inner, outer string
	activation   string // operator between the two
	dropsFirst   bool   // drops elements of x too
	pooler       bool   // inner is the base's pooler
}

var (
	bertLayer = layerNames{
		query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
		attention: "attention.output.dense", attentionNorm: "attention.output.LayerNorm",
		inner: "intermediate.dense", outer: "output.dense", outerNorm: "output.LayerNorm",
	}
	distilBertLayer = layerNames{
		query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
		attention: "attention.out_lin", attentionNorm: "sa_layer_norm", keepsAttention: true,
		inner: "ffn.lin1", outer: "ffn.lin2", outerNorm: "output_layer_norm",
	}
	robertaHead    = headNames{inner: "classifier.dense", outer: "classifier.out_proj", activation: "Tanh", dropsFirst: true}
	bertHead       = headNames{inner: "bert.pooler.dense", outer: "classifier", activation: "Tanh", pooler: true}
	distilBertHead = headNames{inner: "pre_classifier", outer: "classifier", activation: "Relu"}
)

// families has every model_type that can be a base. DistilRoBERTa is a RoBERTa of six layers.
var families = map[string]family{
	"roberta": {class: "Roberta", prefix: "roberta", layers: "encoder.layer", layer: bertLayer, head: robertaHead, typed: true, padded: true},
	"xlm-roberta": {class: "XLMRoberta", prefix: "roberta", layers: "encoder.layer", layer: bertLayer, head: robertaHead, typed: true, padded: true,
		defaults: func(c *Config) { c.VocabSize = 30522 }},
	"bert": {class: "Bert", prefix: "bert", layers: "encoder.layer", layer: bertLayer, head: bertHead, typed: true, segments: true,
		renamed:  map[string]string{"bos_token_id": "", "eos_token_id": ""},
		defaults: func(c *Config) { c.VocabSize, c.PadTokenID, c.BosTokenID, c.EosTokenID = 30522, 0, 0, 0 }},
	"distilbert": {class: "DistilBert", prefix: "distilbert", layers: "transformer.layer", layer: distilBertLayer, head: distilBertHead,
		renamed: map[string]string{
			"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads", "intermediate_size": "hidden_dim",
			"hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout",
			"classifier_dropout": "seq_classif_dropout", "hidden_act": "activation",
			"type_vocab_size": "", "layer_norm_eps": "", "bos_token_id": "", "eos_token_id": "", "position_embedding_type": "",
		},
		defaults: func(c *Config) {
			c.VocabSize, c.NumHiddenLayers, c.PadTokenID, c.BosTokenID, c.EosTokenID = 30522, 6, 0, 0, 0
			rate := 0.2
			c.ClassifierDropout = &rate
		}},
}

// family is the configuration's; the zero family where its model_type is not known, which Check refuses.
func (c Config) family() family { return families[c.ModelType] }

// Class is the name of the model's class in Hugging Face's library, with a classification head or bare.
func (c Config) Class(head bool) string {
	if head {
		return c.family().class + "ForSequenceClassification"
	}
	return c.family().class + "Model"
}

// activations are the operators, with their kind of approximation, by the names that hidden_act gives them.
var activations = map[string]struct{ op, approximate string }{
	"gelu": {"Gelu", "none"}, "gelu_new": {"Gelu", "tanh"}, "gelu_pytorch_tanh": {"Gelu", "tanh"}, "relu": {"Relu", ""},
}
