package ort

/*
#include <signal.h>

static struct sigaction kept[NSIG];

static void keep(void) {
	for (int s = 1; s < NSIG; s++) sigaction(s, 0, &kept[s]);
}

static void restore(void) {
	for (int s = 1; s < NSIG; s++) {
		struct sigaction now;
		if (sigaction(s, 0, &now) == 0 && now.sa_sigaction != kept[s].sa_sigaction) sigaction(s, &kept[s], 0);
	}
}
*/
import "C"

import "sync"

var signals sync.Mutex

// keepSignals notes the handlers of all signals; the function that it returns puts back those that were replaced since.
// CUDA installs handlers without SA_ONSTACK, on which a Go program dies (github.com/yalue/onnxruntime_go issue 140).
func keepSignals() (restore func()) {
	signals.Lock()
	C.keep()
	return func() {
		C.restore()
		signals.Unlock()
	}
}
