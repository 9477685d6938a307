package core

import (
	"net/netip"
	"time"
)

// register is who is in the directory, and what the server knows of each.
type register struct {
	slots   []slot       // by name: where Message.Slot says, or else
	byName  map[Name]int // here,
	free    []int        // and these are nobody's
	roster               // the members' addresses
	members []Member
	order   []int // the slot of each member
}

// slot is one name's entry.
type slot struct {
	stamp    time.Time // last sign of life
	born     time.Time
	source   netip.AddrPort // of the birth
	proven   bool           // a keep-alive came from there, or from the entry's own port
	answered time.Time      // last answer to a repeated birth
	asked    time.Time      // since when such an answer is owed; zero: none is
	addr     netip.AddrPort // zero: the name is free

	incarnation uint64
}

// answerAt is when the answer that is owed may go.
func (s *slot) answerAt() time.Time {
	if at := s.answered.Add(AnswerGap); !s.answered.IsZero() && at.After(s.asked) {
		return at
	}
	return s.asked
}

// Members are the directory as it stands, valid until the next call.
func (r *register) Members() []Member { return r.members }

// Len is how many they are.
func (r *register) Len() int { return len(r.members) }

// slotOf is the slot of member i.
func (r *register) slotOf(i int) *slot { return &r.slots[r.order[i]] }

// named is the slot of a datagram's name, nil where there is none.
func (r *register) named(v *Message) *slot {
	i := v.Slot
	if i < 0 {
		var ok bool
		if i, ok = r.byName[Name(v.Name)]; !ok {
			return nil
		}
	}
	return &r.slots[i]
}

// add takes a member in, whose name, that of the datagram, is nobody's.
func (r *register) add(v *Message, name Name, s slot) {
	i := v.Slot
	if i < 0 {
		if last := len(r.free) - 1; last >= 0 {
			i, r.free = r.free[last], r.free[:last]
		} else {
			i, r.slots = len(r.slots), append(r.slots, slot{})
		}
		r.byName[name] = i
	}
	r.slots[i] = s
	r.roster.add(s.addr)
	r.members = append(r.members, Member{name, s.addr})
	r.order = append(r.order, i)
}

// remove frees member i's name and address.
func (r *register) remove(i int) {
	*r.slotOf(i) = slot{}
	if r.byName != nil {
		delete(r.byName, r.members[i].Name)
		r.free = append(r.free, r.order[i])
	}
	r.roster.remove(i)
	r.members, r.order = removed(r.members, i), removed(r.order, i)
}
