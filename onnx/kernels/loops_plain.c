//go:build cgo && (linux || darwin)

#include "loops.h"

#include "lanes.h"

#include "loops_body.h"

#include "lanes_end.h"
