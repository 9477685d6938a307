package campaign

import (
	"context"
	"net/netip"
	"time"

	"p2plocal/fuzz/send"
)

// slowLook makes the checks that cost time.
func (t *trial) slowLook() {
	copy(t.waits[:], t.waits[1:])
	if t.process != nil {
		t.waits[len(t.waits)-1] = waited(t.process)
	}
	if u, ok := t.process.(user); ok {
		if why := grown(u.Usage(), t.usage); why != "" {
			t.suspectThese(Leaked, why, func(int, *sentShot) bool { return true })
		}
	}
}

// lastLook makes them at the end of a trial, and waits until all that has come has been
// read; true: that was all.
func (t *trial) lastLook() bool {
	if t.overdue == 0 {
		t.slowLook()
	}
	return t.read(&t.overdue)
}

// flood sends a batch over and over for a second, as fast as it can, beside the loop.
func (t *trial) flood(o *openBatch) {
	done := make(chan send.Counts, 1)
	t.flooding = done
	var set [][]byte
	for _, s := range o.shots {
		set = append(set, s.Datagram)
	}
	t.noteAll(o)
	go func() {
		s, err := send.Dial(netip.AddrPortFrom(t.address.Addr(), 0), t.address)
		if err != nil {
			done <- send.Counts{}
			return
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		s.Run(ctx, send.Pack(set, s.Supported()), t.Rate)
		done <- s.Counts()
	}()
}

// noteAll notes all of a batch's datagrams as sent by now.
func (t *trial) noteAll(o *openBatch) {
	for _, s := range o.shots {
		t.sent = append(t.sent, sentShot{s, t.now, o})
		t.note(s, o)
	}
	o.next, o.last = len(o.shots), t.total()
}

// flooded counts what a flood has sent, the last of which may still wait to be read.
func (t *trial) flooded(n send.Counts, o *openBatch) {
	t.flooding = nil
	t.noteAll(o)
	drops := t.drops
	t.lost()
	r := &t.result
	r.Flooding += time.Second
	r.Flood += n.Sent
	r.Taken += n.Sent - min(n.Sent, t.drops-drops)
	r.Sent, r.Bytes, t.count = r.Sent+n.Sent, r.Bytes+n.Bytes, t.count+int(n.Sent)
	y := r.tally(o.what)
	y.Sent, y.Bytes = y.Sent+n.Sent, y.Bytes+n.Bytes
}
