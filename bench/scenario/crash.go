package scenario

import (
	"fmt"
	"slices"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

var crash = Scenario{
	Name: "crash",
	Text: "some peers vanish without notice, and the others notice",
	Metrics: []Metric{
		{"detect", "s", true, -1, "of each survivor, from the kill until its view has dropped the killed peer"},
		{"detect_silence", "s", true, -1, "of each survivor, from the killed peer's last sign of life until its view has dropped it; the protocol's ideal is 1.5 to 2.0 s"},
		{"converge", "s", false, -1, "from the kill until the last survivor's view has dropped all killed peers"},
		{"leave", "s", false, -1, "behind a driver: from the order to one more to leave in its orderly way until no view has it"},
	},
	Summary:  []string{"converge", "detect.p50", "detect.max", "detect_silence.max"},
	Cannot:   needsTwo,
	Expect:   crashTime,
	Run:      crashScenario,
	Commands: []string{"join", "kill"},
	About:    func(o *result.Options) string { return fmt.Sprintf(", %d killed without notice", o.Kill) },
	Headline: []Said{{"converge", "all noticed a crash in %v", "a crash went unnoticed"}},
}

func crashScenario(s *Run) error {
	return s.with(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.joinAndSleep(); err != nil {
			return err
		}
		s.crash(s.choosePeers(s.opt.Kill))
		if d := s.opt.Driver; d != nil && !slices.Contains(d.Unsupported, "leave") {
			s.leave(s.choosePeers(1))
		}
		return s.ctx.Err()
	})
}

// leave has members of a driver's mesh leave; a peer of this project leaves by falling silent.
func (s *Run) leave(who []int) {
	since := s.Clock.Now()
	for _, i := range who {
		s.Leave(i)
	}
	if len(who) > 0 && s.ctx.Err() == nil {
		s.reach("leave", since, s.noticeLimit(), nobody, func(view record.Set) bool { return !slices.ContainsFunc(who, view.Has) })
	}
}

// crash kills the victims and measures who notices when. It returns how many times a survivor has
// noticed and has not. Survivors that had lost the victim before do not count.
func (s *Run) crash(victims []int) (noticed, unnoticed int) {
	if len(victims) == 0 {
		s.unmeasured(mesh.Unmeasured("nobody to kill and be survived"))
		return 0, 0
	}
	died := make(map[int]int64)
	for _, v := range victims {
		died[v] = s.Clock.Now()
		s.Kill(v)
	}
	s.WaitUntil(s.ctx, s.noticeLimit(), s.Agreed)
	var detect, silence []float64
	first, last, blind, before := int64(1<<62), int64(0), 0, 0
	for _, v := range victims {
		first = min(first, died[v])
		alive := s.Store.Slots[v].Alive.Load()
		s.EachView(func(i int, slot *record.Slot) {
			if !s.Alive.Has(i) {
				return
			}
			at, ok := slot.When(died[v], func(view record.Set) bool { return !view.Has(v) })
			switch {
			case !ok:
				blind++
				return
			case at < died[v]:
				before++
				return
			}
			last = max(last, at)
			took := float64(at-died[v]) / 1e9
			detect = append(detect, took)
			if alive > 0 {
				silence = append(silence, float64(at-alive)/1e9)
			}
			s.out.Charts.Noticed = append(s.out.Charts.Noticed, result.Noticed{Peer: string(record.SlotName(i)), Of: string(record.SlotName(v)), Seconds: took})
		})
	}
	s.set("detect", result.Samples("s", detect))
	if !s.driven() { // whose members' signs of life are not seen
		s.set("detect_silence", result.Samples("s", silence))
	}
	s.alreadyTrue("detect", before)
	if len(detect)+blind > 0 {
		s.seconds("converge", first, last, blind == 0)
	} else if s.ctx.Err() == nil {
		s.unmeasured(mesh.Unmeasured("no survivor had a victim in its view when that died"))
	}
	if blind > 0 && s.ctx.Err() == nil {
		why := ""
		if s.Impair.Loss > 0 && !s.driven() {
			why = ": a directory that is lost comes never again without refresh"
		}
		s.warn("%d of %s a survivor did not notice within %v%s", blind, result.Plural(uint64(blind+len(detect)), "time"), s.noticeLimit(), why)
	}
	// Between Deadline and Deadline + Reap after the last sign of life, which is up to
	// a Heartbeat before the kill; who is removed while it lives has no ideal.
	if t := s.cfg.Timing; t.Heartbeat < t.Deadline && !s.driven() {
		s.out.Charts.Ideal = &[2]float64{(t.Deadline - t.Heartbeat).Seconds(), (t.Deadline + t.Reap).Seconds()}
	}
	return len(detect), blind
}
