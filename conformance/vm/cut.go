// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/vm/event"
)

const (
	// silence is how long a machine may send nothing, of its own time.
	silence = 5 * time.Minute
	// latestCut is after how many events the power is cut at the latest, once requests
	// follow. A time would meet nothing but the first of them on a busy host.
	latestCut = 32
	// latestWrite is after how many writes to the daemon's disk it is cut at the latest,
	// where a write decides: an ADD has some ten.
	latestWrite = 24
	// diskSize is the size of the disks that survive, in bytes.
	diskSize = 64 << 20
	// shortestPace is the time between two events before any has come.
	shortestPace = 100 * time.Millisecond
)

// Cuts say how often the power is cut, and of what.
type Cuts struct {
	Parts
	// Target is the path of the target file in the machine.
	Target string
	// Count is how often the power is cut. Seed chooses the moments, and what
	// happens before; what had been reached at a moment is the machine's affair.
	Count int
	Seed  uint64
	// Dir is for the machine's files.
	Dir string
	// From is what Freeze returns; nil has the machine boot each time.
	From *Frozen
	// Progress gets a line for each cut.
	Progress func(text string)
}

// Outcome is what came of power cuts.
type Outcome struct {
	// Cuts counts them by what was being asked for: "ADD", "DEL", "hot-plug ADD",
	// "hot-plug DEL", "nothing", and "the daemon's absence".
	Cuts map[string]int
	// Counts add up what was on the disk after the cuts: leases, empty leases, and
	// records, how many DELs the runtime owed, and how many writes the disks' caches
	// had, and lost.
	Counts map[string]int
	// Answered counts the answers, by command.
	Answered map[string]int
	// Slow is by how much deadlines were multiplied, as the first boot has measured.
	Slow float64
	// Found is what must not be.
	Found []string
}

// lane is a machine, boot by boot, and what a runtime would know of it.
type lane struct {
	Cuts
	random *rand.Rand
	// volumes are the disk of what the daemon keeps, and the one of the leases. Those
	// are durable at once, as those of an IPAM that serves many nodes are: a record
	// that is not durable before its lease is missed.
	volumes []Volume
	boot    int
	boots   map[string]bool
	// lost are the sandboxes of which an ADD was begun, and for which no DEL was
	// answered with success.
	lost map[string]event.Sandbox
	// asked are the commands that wait for their answer, by sandbox.
	asked  map[string]string
	killed bool
	out    Outcome
}

// Freeze boots the machine that is cut, as far as all boots are the same.
func (c Cuts) Freeze(ctx context.Context) (*Frozen, error) {
	blank := func() *Disk { return &Disk{now: make([]byte, diskSize), durable: make([]byte, diskSize)} }
	o := c.machine([]Volume{{Disk: blank()}, {Disk: blank()}})
	for _, program := range []string{"story", "thicketd", "thicket-shim", "cni/bridge", "cni/host-local"} {
		o.Read = append(o.Read, path.Join(ProgramsAt, "bin", program))
	}
	return Freeze(ctx, o)
}

// machine is what all boots have in common.
func (c *Cuts) machine(volumes []Volume) Options {
	return Options{Parts: c.Parts, Volumes: volumes, Dir: c.Dir, Processors: 1, Memory: 1024, From: c.From}
}

// Cut cuts the power of one machine, again and again, and looks at what is left on
// its disks each time, until something is found: later boots would find it, too. The
// error says why it could not.
func (c Cuts) Cut(ctx context.Context) (*Outcome, error) {
	l := &lane{
		Cuts: c, random: rand.New(rand.NewPCG(c.Seed, 0)), boots: map[string]bool{}, asked: map[string]string{}, lost: map[string]event.Sandbox{},
		out: Outcome{Cuts: map[string]int{}, Counts: map[string]int{}, Answered: map[string]int{}},
	}
	for _, v := range []Volume{{At: "/kept"}, {At: "/leases", Sync: true}} {
		image := filepath.Join(c.Dir, "disk.img")
		if out, err := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", image, fmt.Sprint(diskSize>>10)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("mke2fs: %w: %s", err, out)
		}
		var err error
		if v.Disk, err = ReadDisk(image); err != nil {
			return nil, err
		}
		l.volumes = append(l.volumes, v)
	}
	for range c.Count {
		if err := l.once(ctx, true); err != nil {
			return nil, err
		}
		if len(l.out.Found) > 0 {
			return &l.out, nil
		}
	}
	return &l.out, l.once(ctx, false)
}

// once is one boot, which ends with a power cut, or as the story does.
func (l *lane) once(ctx context.Context, cut bool) error {
	l.boot++
	m, err := l.start(ctx, cut)
	if err != nil {
		return err
	}
	off := false
	defer func() {
		if !off {
			m.CutPower(func(event.Event) {})
		}
	}()
	judged, err := m.Await(event.Judged, silence, l.note)
	if err != nil {
		return l.failed(err)
	}
	l.count(judged)
	if !cut {
		_, err := m.Await(event.Ended, silence, l.note)
		return l.failed(err)
	}
	if _, err := m.Await(event.Loading, silence, l.note); err != nil {
		return l.failed(err)
	}
	if err := l.listen(ctx, m, l.random.IntN(latestCut)); err != nil {
		return err
	}
	off = true
	m.CutPower(l.note)
	l.afterCut()
	return nil
}

// failed adds to an error what was found before it.
func (l *lane) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("boot %d, seed %d: %w\nfound before: %s", l.boot, l.Seed, err, strings.Join(l.out.Found, "\n"))
}

// start switches the machine on, with the story of this boot.
func (l *lane) start(ctx context.Context, load bool) (*Machine, error) {
	story, err := json.Marshal(event.Story{
		Target: l.Target, Kept: l.volumes[0].At, Leases: l.volumes[1].At, Boot: l.boot, Seed: l.random.Uint64(), DeletesAtOnce: l.random.IntN(2) == 0, Slow: l.out.Slow, Load: load,
		Lost: slices.SortedFunc(maps.Values(l.lost), func(a, b event.Sandbox) int { return strings.Compare(a.ID, b.ID) }),
	})
	if err != nil {
		return nil, err
	}
	o := l.machine(l.volumes)
	o.Job = event.Job{Command: []string{ProgramsAt + "/bin/story"}, Story: story}
	return Start(ctx, o)
}

// listen notes so many events of a machine, and what comes until the moment of the
// cut. That is a part of the time until the next event but one, by the pace that they
// had, or a write to the daemon's disk, which is not answered.
func (l *lane) listen(ctx context.Context, m *Machine, events int) error {
	began := time.Now()
	clock := m.clock()
	defer clock.Stop()
	atWrite, part := 0, l.random.Float64()
	if l.random.IntN(2) == 0 {
		atWrite = 1 + l.random.IntN(latestWrite)
	}
	var over <-chan struct{}
	for heard := 0; ; heard++ {
		switch {
		case heard != events:
		case atWrite > 0:
			over = l.volumes[0].StopAfter(atWrite)
		default:
			pace := time.Since(began) / time.Duration(heard+1)
			ctx, cancel := context.WithTimeout(ctx, time.Duration(part*float64(2*max(pace, shortestPace))))
			defer cancel()
			over = ctx.Done()
		}
		if ended, err := l.next(ctx, m, clock, over); ended || err != nil {
			return err
		}
	}
}

// next notes the next event, or returns true when over is over.
func (l *lane) next(ctx context.Context, m *Machine, clock *clock, over <-chan struct{}) (bool, error) {
	for clock.passed = 0; clock.passed <= silence; clock.tick() {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-over:
			return true, nil
		case e, on := <-m.Events:
			if !on {
				return true, l.failed(m.ended())
			}
			l.note(e)
			return false, nil
		case <-clock.C:
		}
	}
	return true, l.failed(m.silent(silence))
}

// note keeps what a runtime would know, and what was found.
func (l *lane) note(e event.Event) {
	switch e.Kind {
	case event.Booted:
		if l.boots[e.Text] {
			l.found("this boot has the id of an earlier one: " + e.Text)
		}
		l.boots[e.Text] = true
	case event.Begun:
		l.asked[e.Sandbox.ID] = e.Command
		if e.Command == "ADD" {
			l.lost[e.Sandbox.ID] = *e.Sandbox
		}
	case event.Answered:
		delete(l.asked, e.Sandbox.ID)
		l.out.Answered[e.Command]++
		if e.Command == "DEL" && e.OK {
			delete(l.lost, e.Sandbox.ID)
		}
	case event.Killed, event.Served:
		l.killed = e.Kind == event.Killed
	case event.Found:
		l.found(e.Text)
	}
}

func (l *lane) found(text string) {
	l.out.Found = append(l.out.Found, fmt.Sprintf("boot %d, seed %d: %s", l.boot, l.Seed, text))
}

// count adds up what was found after a boot.
func (l *lane) count(judged event.Event) {
	for what, n := range judged.Counts {
		l.out.Counts[what] += n
	}
	l.out.Slow = judged.Slow
	l.asked, l.killed = map[string]string{}, false
}

// afterCut counts a cut by what it met.
func (l *lane) afterCut() {
	cached, lost := 0, 0
	for _, v := range l.volumes {
		c, lo := v.CutPower(l.random)
		cached, lost = cached+c, lost+lo
	}
	l.out.Counts["cached writes"] += cached
	l.out.Counts["lost writes"] += lost
	met := slices.Compact(slices.Sorted(maps.Values(l.asked)))
	if l.killed {
		met = append(met, "the daemon's absence")
	}
	if len(met) == 0 {
		met = []string{"nothing"}
	}
	for _, what := range met {
		l.out.Cuts[what]++
	}
	l.Progress(fmt.Sprintf("cut %d of %d met %s; the disk lost %d of %d writes; %d sandboxes are owed a DEL, %d things found", l.boot, l.Count, strings.Join(met, ", "), lost, cached, len(l.lost), len(l.out.Found)))
}

// Add adds up outcomes.
func (o *Outcome) Add(other *Outcome) {
	for to, from := range map[*map[string]int]map[string]int{&o.Cuts: other.Cuts, &o.Counts: other.Counts, &o.Answered: other.Answered} {
		if *to == nil {
			*to = map[string]int{}
		}
		for what, n := range from {
			(*to)[what] += n
		}
	}
	o.Slow = max(o.Slow, other.Slow)
	o.Found = append(o.Found, other.Found...)
}
