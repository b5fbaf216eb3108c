package tokenize

import (
	"strings"
	"sync"
)

// cacheWords bounds the cache; when it is full it starts anew, and common words are back at once. The 22,755 utterances of
// ConvAI2's validation file have 7,580.
const cacheWords = 1 << 16

// longWord bounds the bytes of a word that is remembered. A longer one hardly comes twice, and it is merged without the
// library, whose bookkeeping of offsets takes some 250 bytes of memory for each byte of the word.
const longWord = 64

// cache remembers the ids of words. The zero cache is empty and ready, also for several goroutines.
type cache struct {
	lock sync.RWMutex
	ids  map[string][]int
}

func (c *cache) get(word string) ([]int, bool) {
	c.lock.RLock()
	defer c.lock.RUnlock()
	ids, ok := c.ids[word]
	return ids, ok
}

func (c *cache) put(word string, ids []int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.ids == nil || len(c.ids) >= cacheWords {
		c.ids = map[string][]int{}
	}
	c.ids[strings.Clone(word)] = ids // a clone: the word is a piece of a text that may be large
}
