//go:build cgo && (linux || darwin)

#include "thin.h"

#include "lanes.h"

#include "thin_body.h"

#include "lanes_end.h"
