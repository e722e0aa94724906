// Package init lists the places where a state may be kept: those that the tests use. The other ones bring the libraries of five
// clouds, of Kubernetes and of PostgreSQL.
package init

import (
	"sync"

	"github.com/opentofu/svchost/disco"

	"github.com/opentofu/opentofu/internal/backend"
	"github.com/opentofu/opentofu/internal/backend/local"
	"github.com/opentofu/opentofu/internal/backend/remote-state/inmem"
	"github.com/opentofu/opentofu/internal/backend/remote-state/s3"
	"github.com/opentofu/opentofu/internal/encryption"
)

var (
	// Read and written under the lock; a neighbour of this file puts test doubles in.
	backends     map[string]backend.InitFn
	backendsLock sync.Mutex

	// RemovedBackends says of former names what became of them. Nobody here knows one.
	RemovedBackends map[string]string
)

// Init makes the list, once at the start.
func Init(*disco.Disco) {
	backendsLock.Lock()
	defer backendsLock.Unlock()
	backends = map[string]backend.InitFn{
		"inmem": func(keys encryption.StateEncryption) backend.Backend { return inmem.New(keys) },
		"local": func(keys encryption.StateEncryption) backend.Backend { return local.New(keys) },
		"s3":    func(keys encryption.StateEncryption) backend.Backend { return s3.New(keys) },
	}
}

// Backend gives what makes the backend of a name, or nil, and the name as it is written into the state of a folder.
func Backend(name string) (backend.InitFn, string) {
	backendsLock.Lock()
	defer backendsLock.Unlock()
	return backends[name], name
}
