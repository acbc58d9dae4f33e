// Certificates for tests and simulated worlds: an authority, a server's certificate by it, and an authority
// that has signed nothing. Valid from 1970 to 9999, since simulated clocks go wrong by years.
//
// Made once, with `openssl ca`; the keys of the authorities are gone.

#pragma once

#include <string_view>

namespace argon::tls::testing {

// The server's names: *.proxy.test, proxy.test, localhost.
inline constexpr std::string_view kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBpjCCAUygAwIBAgIBAzAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRBcmdvbiB0
ZXN0IGF1dGhvcml0eTAgFw03MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVow
FTETMBEGA1UEAwwKcHJveHkudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BK9zD8TpMVYQcfFkVDG0Qb4rndu9L3ttHR4FxkQBYzZjBY7rkmC6ZkeD01Kys+bv
O9v1hc/X7x7fJy3N2Pfo9WyjgYAwfjAMBgNVHRMBAf8EAjAAMC4GA1UdEQQnMCWC
DCoucHJveHkudGVzdIIKcHJveHkudGVzdIIJbG9jYWxob3N0MB0GA1UdDgQWBBT2
3ZkDXW/CG6uLbmffMe73iMn1BTAfBgNVHSMEGDAWgBSsMqsEgrPtjzLsvNZhmz0j
allicTAKBggqhkjOPQQDAgNIADBFAiEAi3DM4g2cvHiy2EzAk/kMHBj61kZ6G/vB
yLjVFv9QK5cCIBcDEHsvZaMvffZymaErb124J3OF+wtX/mflIwvm22JI
-----END CERTIFICATE-----
)";
inline constexpr std::string_view kKey = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIB5mrWPuK5MbIQIT
TMVkge2A9hutS7004O8XBTz5uCahRANCAASvcw/E6TFWEHHxZFQxtEG+K53bvS97
bR0eBcZEAWM2YwWO65JgumZHg9NSsrPm7zvb9YXP1+8e3yctzdj36PVs
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kAuthority = R"(-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIBATAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRBcmdvbiB0
ZXN0IGF1dGhvcml0eTAgFw03MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVow
HzEdMBsGA1UEAwwUQXJnb24gdGVzdCBhdXRob3JpdHkwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAAQBwwZX/XsJWegUW1//cEcaEQ7W3UnQa3evPRlVYQPK3Nn68lUP
fShpHUNNFqdZBTLgk80/BNxU9tD89jKqt6NWo0IwQDAPBgNVHRMBAf8EBTADAQH/
MA4GA1UdDwEB/wQEAwICBDAdBgNVHQ4EFgQUrDKrBIKz7Y8y7LzWYZs9I2pZYnEw
CgYIKoZIzj0EAwIDSAAwRQIhALVDLSqMFXbNuK3+3XKQ1mlRoPAhak8q6Pho0Zr1
hlWXAiBJCe/61m9QllythI8TDwhBGwfZ6iFgDsVUfivL4RhXVw==
-----END CERTIFICATE-----
)";
inline constexpr std::string_view kOtherAuthority = R"(-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIBAjAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZBbm90aGVy
IHRlc3QgYXV0aG9yaXR5MCAXDTcwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5
WjAhMR8wHQYDVQQDDBZBbm90aGVyIHRlc3QgYXV0aG9yaXR5MFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAE6Lz8jlmwMd/V16rDcrc0KJLuXpx9rcrwlDsc7Gbwm9s+
zSQS4rYsiln4gV17NntZZZK2cQoAuXomHnOez0n+dqNCMEAwDwYDVR0TAQH/BAUw
AwEB/zAOBgNVHQ8BAf8EBAMCAgQwHQYDVR0OBBYEFDZtLLsJlOCEU+quhhDjuu00
W+T3MAoGCCqGSM49BAMCA0gAMEUCIQDQb7Tvp7vX4SlJdeFc/riSs+QL1rSY5Krl
CNw/LG3WUwIgSbnGQXh9F/kudMdnge3DVqz8xHxFzeb6jrsccA0D5gw=
-----END CERTIFICATE-----
)";

}  // namespace argon::tls::testing
