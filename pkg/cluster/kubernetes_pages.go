// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// pageBytes is how much of a list is read at once: while it is decoded it costs
	// a multiple of that. One object has 1.5 MB at the most.
	pageBytes = 4 << 20
	// pageObjects is the most objects of a page.
	pageObjects = 500
)

// errPageTooLarge says that a page has more bytes than are read at once.
var errPageTooLarge = errors.New("a page of the list is too large")

// listPaged lists what an API server without WatchList (Kubernetes before 1.32) does
// not stream, and never has the objects in memory all at full size (SEC-06): what is
// larger than a page is asked for in pages, each trimmed before the next is read. How
// many objects make a page is found by trying, for nobody knows their sizes before.
func (f *kindFollower) listPaged(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	f.cache.listing()
	o.Limit, o.Continue = pageObjects, ""
	most := f.owner.options.PageBytes
	if most == 0 {
		most = pageBytes
	}
	var items []runtime.Object
	for {
		page := f.list()
		size, err := f.readPage(ctx, o, most, page)
		if errors.Is(err, errPageTooLarge) && smaller(&o) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if items, err = f.takePage(items, page); err != nil {
			return nil, err
		}
		about, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		if o.Continue = about.GetContinue(); o.Continue == "" {
			return page, meta.SetList(page, items)
		}
		o.ResourceVersion, o.ResourceVersionMatch = "", ""
		if size < most/4 {
			o.Limit = min(2*o.Limit, pageObjects)
		}
	}
}

// smaller asks for less at once. Version 0 is answered from the server's cache, which
// is cheap, and as a whole, whatever the limit is.
func smaller(o *metav1.ListOptions) bool {
	switch {
	case o.ResourceVersion != "":
		o.ResourceVersion, o.ResourceVersionMatch = "", ""
	case o.Limit > 1:
		o.Limit /= 2
	default:
		return false
	}
	return true
}

// readPage reads a page of at most so many bytes.
func (f *kindFollower) readPage(ctx context.Context, o metav1.ListOptions, most int, into runtime.Object) (size int, err error) {
	body, err := f.query(o).Stream(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, int64(most)+1))
	if err != nil {
		return 0, err
	}
	if len(data) > most {
		return len(data), fmt.Errorf("%w: %d objects have more than %d bytes", errPageTooLarge, o.Limit, most)
	}
	return len(data), runtime.DecodeInto(codecs.UniversalDeserializer(), data, into)
}

// takePage adds what is remembered of a page.
func (f *kindFollower) takePage(items []runtime.Object, page runtime.Object) ([]runtime.Object, error) {
	err := meta.EachListItem(page, func(item runtime.Object) error {
		trimmed, err := f.transform(item)
		if object, ok := trimmed.(runtime.Object); ok && err == nil {
			items = append(items, object)
		}
		return err
	})
	return items, err
}
