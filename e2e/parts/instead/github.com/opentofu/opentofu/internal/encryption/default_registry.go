package encryption

import (
	"github.com/opentofu/opentofu/internal/encryption/keyprovider/pbkdf2"
	"github.com/opentofu/opentofu/internal/encryption/method/aesgcm"
	"github.com/opentofu/opentofu/internal/encryption/method/unencrypted"
	"github.com/opentofu/opentofu/internal/encryption/registry/lockingencryptionregistry"
)

// DefaultRegistry has what encrypts states without asking anybody. The tests encrypt none, and the services of keys bring the libraries
// of their clouds.
var DefaultRegistry = lockingencryptionregistry.New()

func init() {
	for _, failed := range []error{
		DefaultRegistry.RegisterKeyProvider(pbkdf2.New()),
		DefaultRegistry.RegisterMethod(aesgcm.New()),
		DefaultRegistry.RegisterMethod(unencrypted.New()),
	} {
		if failed != nil {
			panic(failed)
		}
	}
}
