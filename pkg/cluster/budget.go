// SPDX-License-Identifier: Apache-2.0

package cluster

import "context"

const (
	// unlimitedBudget is what a cache may remember where nobody says.
	unlimitedBudget = 64 << 20
	// budgetParts is how many of the largest objects that are remembered at all
	// fill a budget.
	budgetParts = 32
	// liveAtOnce is how many objects are looked up side by side: each may have
	// 1.5 MB, and costs a multiple of that while it is decoded.
	liveAtOnce = 4
)

// budget bounds what a cache remembers of what tenants write, in bytes. Names
// and versions are remembered of all objects; what is over the budget is looked
// up when it is asked for (SEC-06).
type budget struct {
	most int
	// kept is what the cache has, listed what a list that is being streamed will
	// bring.
	kept, listed int
}

func newBudget(most int) budget {
	if most <= 0 {
		most = unlimitedBudget
	}
	return budget{most: most}
}

// fits says whether so many more bytes may be remembered of one object.
func (b *budget) fits(size int) bool {
	return size <= b.most/budgetParts && b.kept+size <= b.most
}

// list counts an object of a list that is being streamed, and says whether it
// may be remembered. Until Replace, the cache has its former objects too.
func (b *budget) list(size int) bool {
	if size > b.most/budgetParts || b.listed+size > b.most {
		return false
	}
	b.listed += size
	return true
}

// live waits until one more object may be looked up.
func (k *Kubernetes) live(ctx context.Context, lookUp func(context.Context) error) error {
	select {
	case k.lookUps <- struct{}{}:
		defer func() { <-k.lookUps }()
		return lookUp(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
