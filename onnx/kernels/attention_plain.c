//go:build cgo && (linux || darwin)

#include "attention.h"

#include "lanes.h"
#include "shuffle.h"

#include "attention_body.h"

#include "lanes_end.h"
