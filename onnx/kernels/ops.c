//go:build cgo && (linux || darwin)

#include "ops.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define DOMAIN "metalora"

enum { max_ops = 64, text_size = 512 };

// entry is an operator as ONNX Runtime sees it: the callbacks get a pointer to base, which is one to the entry.
typedef struct {
	OrtCustomOp base;
	const ml_op *op;
} entry;

// kernel is what a node of a session keeps between runs.
typedef struct {
	const OrtApi *api;
	const ml_op *op;
	ml_value attr[ml_max_attrs];
	size_t threads; // of the session
} kernel;

OrtStatus *ml_fail(const ml_call *call, const char *format, ...) {
	char text[text_size];
	int n = snprintf(text, sizeof text, DOMAIN ".%s: ", call->op->name);
	va_list list;
	va_start(list, format);
	vsnprintf(text + n, sizeof text - n, format, list);
	va_end(list);
	return call->api->CreateStatus(ORT_INVALID_ARGUMENT, text);
}

// letter is the first place behind the index-th letter of a row's inputs or outputs, less one: the letter itself.
static const char *letter(const char *letters, size_t index) {
	for (;; letters++) {
		if (*letters == 0) return letters;
		if (*letters != '?' && index-- == 0) return letters;
	}
}

static size_t count_letters(const char *letters) {
	size_t n = 0;
	for (; *letters; letters++) n += *letters != '?';
	return n;
}

static ONNXTensorElementDataType element_type(char type) {
	switch (type) {
	case 'f': return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
	case 'b': return ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
	case 'i': return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
	case 'h': return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
	}
	return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

// parallel has the session's threads run f, each taking the next i when it is done with one. ParallelFor fails only where it is given no function.
static void parallel(const ml_pool *pool, size_t total, void (*f)(void *, size_t), void *data) {
	const ml_call *call = pool->self;
	OrtStatus *status = total == 1 ? NULL : call->api->KernelContext_ParallelFor(call->context, f, total, total, data);
	if (total == 1 || status != NULL) {
		for (size_t i = 0; i < total; i++) f(data, i);
	}
	call->api->ReleaseStatus(status);
}

// fetch fills input index of a call.
static OrtStatus *fetch(ml_call *call, size_t index) {
	ml_tensor *t = &call->in[index];
	const char *type = letter(call->op->inputs, index);
	size_t given = 0;
	ml_try(call->api->KernelContext_GetInputCount(call->context, &given));
	const OrtValue *value = NULL;
	if (index < given) ml_try(call->api->KernelContext_GetInput(call->context, index, &value));
	*t = (ml_tensor){.type = *type};
	if (value == NULL) {
		return type[1] == '?' ? NULL : ml_fail(call, "input %zu is missing", index);
	}
	ONNXTensorElementDataType element;
	ml_try(call->api->GetTensorElementTypeAndShapeDataReference(value, &element, &t->dims, &t->rank));
	if (element != element_type(*type)) {
		return ml_fail(call, "input %zu has elements of type %d, want %d", index, (int)element, (int)element_type(*type));
	}
	t->given = true;
	t->count = 1;
	for (size_t i = 0; i < t->rank; i++) t->count *= t->dims[i];
	return call->api->GetTensorMutableData((OrtValue *)value, (void **)&t->data);
}

OrtStatus *ml_output(ml_call *call, size_t index, const int64_t *dims, size_t rank, void **data) {
	OrtValue *value = NULL;
	*data = NULL;
	size_t wanted = 0;
	ml_try(call->api->KernelContext_GetOutputCount(call->context, &wanted));
	if (index < wanted) ml_try(call->api->KernelContext_GetOutput(call->context, index, dims, rank, &value));
	if (value == NULL) {
		return letter(call->op->outputs, index)[1] == '?' ? NULL : ml_fail(call, "output %zu is missing", index);
	}
	return call->api->GetTensorMutableData(value, data);
}

OrtStatus *ml_rank(const ml_call *call, size_t index, size_t rank) {
	if (call->in[index].rank == rank) return NULL;
	return ml_fail(call, "input %zu has rank %zu, want %zu", index, call->in[index].rank, rank);
}

OrtStatus *ml_same(const ml_call *call, size_t a, size_t b) {
	const ml_tensor *x = &call->in[a], *y = &call->in[b];
	if (x->rank != y->rank) return ml_fail(call, "input %zu has rank %zu, input %zu %zu", a, x->rank, b, y->rank);
	for (size_t i = 0; i < x->rank; i++) {
		if (x->dims[i] != y->dims[i]) {
			return ml_fail(call, "dimension %zu is %lld in input %zu and %lld in input %zu", i, (long long)x->dims[i], a,
			               (long long)y->dims[i], b);
		}
	}
	return NULL;
}

size_t ml_row(const ml_tensor *t) { return t->rank == 0 ? 1 : t->dims[t->rank - 1]; }

// What follows are the callbacks of OrtCustomOp.

static const ml_op *row(const OrtCustomOp *op) { return ((const entry *)op)->op; }

static const char *get_name(const OrtCustomOp *op) { return row(op)->name; }
static const char *get_provider(const OrtCustomOp *op) { return (void)op, NULL; } // the CPU's

static size_t input_count(const OrtCustomOp *op) { return count_letters(row(op)->inputs); }
static size_t output_count(const OrtCustomOp *op) { return count_letters(row(op)->outputs); }

static ONNXTensorElementDataType input_type(const OrtCustomOp *op, size_t i) { return element_type(*letter(row(op)->inputs, i)); }
static ONNXTensorElementDataType output_type(const OrtCustomOp *op, size_t i) { return element_type(*letter(row(op)->outputs, i)); }

static OrtCustomOpInputOutputCharacteristic presence(const char *letters, size_t i) {
	return letter(letters, i)[1] == '?' ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
}
static OrtCustomOpInputOutputCharacteristic input_presence(const OrtCustomOp *op, size_t i) { return presence(row(op)->inputs, i); }
static OrtCustomOpInputOutputCharacteristic output_presence(const OrtCustomOp *op, size_t i) { return presence(row(op)->outputs, i); }

static OrtMemType input_memory(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, OrtMemTypeDefault; }
static int zero(const OrtCustomOp *op) { return (void)op, 0; }
static int one(const OrtCustomOp *op) { return (void)op, 1; }

// first_in_place is the map of operators with in_place: of input 0 to output 0. The callback is not told which operator asks.
static size_t first_in_place(int **inputs, int **outputs) {
	*inputs = calloc(1, sizeof **inputs);
	*outputs = calloc(1, sizeof **outputs);
	return *inputs != NULL && *outputs != NULL;
}

static void free_map(int *inputs, int *outputs) {
	free(inputs);
	free(outputs);
}

static OrtStatus *read_attr(const OrtApi *api, const OrtKernelInfo *info, const ml_attr *attr, ml_value *value) {
	if (attr->kind == 'f') return api->KernelInfoGetAttribute_float(info, attr->name, &value->f);
	return api->KernelInfoGetAttribute_int64(info, attr->name, &value->i);
}

// read_threads is how many threads the session says it has, 1 where it says nothing.
static OrtStatus *read_threads(const OrtApi *api, const OrtKernelInfo *info, size_t *threads) {
	OrtKeyValuePairs *entries = NULL;
	ml_try(api->KernelInfo_GetConfigEntries(info, &entries));
	const char *text = api->GetKeyValue(entries, ML_THREADS);
	long n = text == NULL ? 1 : strtol(text, NULL, 10);
	*threads = n < 1 ? 1 : (size_t)n;
	api->ReleaseKeyValuePairs(entries);
	return NULL;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **made) {
	kernel *k = calloc(1, sizeof *k);
	if (k == NULL) return api->CreateStatus(ORT_FAIL, DOMAIN ": out of memory");
	k->api = api;
	k->op = row(op);
	OrtStatus *status = read_threads(api, info, &k->threads);
	for (size_t i = 0; status == NULL && i < ml_max_attrs && k->op->attrs[i].name != NULL; i++) {
		status = read_attr(api, info, &k->op->attrs[i], &k->attr[i]);
	}
	if (status != NULL) {
		free(k);
		return status;
	}
	*made = k;
	return NULL;
}

static OrtStatus *compute(void *made, OrtKernelContext *context) {
	const kernel *k = made;
	ml_call call = {.api = k->api, .op = k->op, .context = context, .attr = k->attr, .pool = {parallel, NULL, k->threads}};
	call.pool.self = &call;
	for (size_t i = 0; i < count_letters(k->op->inputs); i++) ml_try(fetch(&call, i));
	return k->op->compute(&call);
}

static const OrtCustomOp callbacks = {
	.version = ORT_API_VERSION,
	.GetName = get_name, .GetExecutionProviderType = get_provider,
	.GetInputType = input_type, .GetInputTypeCount = input_count, .GetOutputType = output_type, .GetOutputTypeCount = output_count,
	.KernelDestroy = free,
	.GetInputCharacteristic = input_presence, .GetOutputCharacteristic = output_presence, .GetInputMemoryType = input_memory,
	.GetVariadicInputMinArity = zero, .GetVariadicInputHomogeneity = zero,
	.GetVariadicOutputMinArity = zero, .GetVariadicOutputHomogeneity = zero,
	.CreateKernelV2 = create, .KernelComputeV2 = compute,
	.GetStartVersion = one, .GetEndVersion = one,
};

// The domain is made once and lives as long as the process: sessions refer to it until they are closed.
static struct {
	pthread_mutex_t lock;
	OrtCustomOpDomain *domain;
	entry entries[max_ops];
} registered = {.lock = PTHREAD_MUTEX_INITIALIZER};

static OrtStatus *make_domain(const OrtApi *api, OrtCustomOpDomain **made) {
	if (ml_ops_count > max_ops) return api->CreateStatus(ORT_FAIL, DOMAIN ": too many operators");
	ml_try(api->CreateCustomOpDomain(DOMAIN, made));
	for (size_t i = 0; i < ml_ops_count; i++) {
		registered.entries[i] = (entry){callbacks, &ml_ops[i]};
		if (ml_ops[i].in_place) {
			registered.entries[i].base.GetMayInplace = first_in_place;
			registered.entries[i].base.ReleaseMayInplace = free_map;
		}
		ml_try(api->CustomOpDomain_Add(*made, &registered.entries[i].base));
	}
	return NULL;
}

static OrtStatus *add_domain(const OrtApi *api, OrtSessionOptions *options) {
	pthread_mutex_lock(&registered.lock);
	OrtStatus *status = NULL;
	if (registered.domain == NULL) {
		OrtCustomOpDomain *made = NULL;
		status = make_domain(api, &made);
		if (status == NULL) {
			registered.domain = made;
		} else {
			api->ReleaseCustomOpDomain(made);
		}
	}
	pthread_mutex_unlock(&registered.lock);
	return status != NULL ? status : api->AddCustomOpDomain(options, registered.domain);
}

static char *say(const char *text) {
	char *copy = strdup(text == NULL ? "unknown" : text);
	return copy;
}

// find_api asks the library that is loaded for its interface; it loads nothing.
static const OrtApi *find_api(const char *library, char **error) {
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	if (handle == NULL) {
		*error = say("the library is not loaded");
		return NULL;
	}
	const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
	const OrtApi *api = base == NULL ? NULL : base()->GetApi(ORT_API_VERSION);
	if (api == NULL) *error = say("the library does not have this version of the interface");
	dlclose(handle); // the count of its users; whoever loaded it holds it
	return api;
}

char *ml_register(OrtSessionOptions *options, const char *library) {
	char *error = NULL;
	const OrtApi *api = find_api(library, &error);
	if (api == NULL) return error;
	OrtStatus *status = add_domain(api, options);
	if (status == NULL) return NULL;
	error = say(api->GetErrorMessage(status));
	api->ReleaseStatus(status);
	return error;
}
