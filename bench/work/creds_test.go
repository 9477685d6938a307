package work

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"p2plocal/bench/work/natstest"
)

// A server that trusts an operator lets in who has credentials of its account, and nobody else: that is one line.
func TestCredentials(t *testing.T) {
	t.Parallel()
	key := func(of nkeys.PrefixByte) (nkeys.KeyPair, string) {
		pair, err := nkeys.CreatePair(of)
		if err != nil {
			t.Fatal(err)
		}
		public, _ := pair.PublicKey()
		return pair, public
	}
	operator, operatorID := key(nkeys.PrefixByteOperator)
	accounts := &server.MemAccResolver{}
	account := func(disk int64) (nkeys.KeyPair, string) {
		pair, id := key(nkeys.PrefixByteAccount)
		claims := jwt.NewAccountClaims(id)
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: disk, Streams: disk, Consumer: disk}
		token, err := claims.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		accounts.Store(id, token)
		return pair, id
	}
	credentials := func(of nkeys.KeyPair) string {
		pair, id := key(nkeys.PrefixByteUser)
		token, err := jwt.NewUserClaims(id).Encode(of)
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		text, _ := jwt.FormatUserConfig(token, seed)
		file := filepath.Join(t.TempDir(), "user.creds")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ours, _ := account(jwt.NoLimit)
	stranger, _ := key(nkeys.PrefixByteAccount)
	_, system := account(0)
	s := &natsServer{t: t, Server: natstest.Start(t, func(o *server.Options) {
		o.TrustedKeys, o.AccountResolver, o.SystemAccount = []string{operatorID}, accounts, system
	})}
	s.creds = credentials(ours)
	var computed atomic.Int64
	s.worker("a", "1", 1, 0, &computed)
	x := newTally(t)
	if err := Remote(t.Context(), s.connect("coordinator"), sums("creds", 100), t.Logf, x.add); err != nil || x.sum != want(100) {
		t.Errorf("%d, want %d; %v", x.sum, want(100), err)
	}
	broken := filepath.Join(t.TempDir(), "broken.creds")
	if err := os.WriteFile(broken, []byte("no credentials\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{credentials(stranger), broken, "none.creds", ""} {
		_, err := Access{URL: s.ClientURL(), Creds: file}.Connect("x", t.Logf)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), `NATS server "`) {
			t.Errorf("with %q: error %v", file, err)
		}
		t.Log(err)
	}
}
