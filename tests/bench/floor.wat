;; What no filter can go below that tells the upstream who calls and the caller how a limit stands: the callbacks and host
;; calls of Portcullis with everything on, and nothing else. It decides nothing, counts nothing, and lets all pass.
;;
;; The host calls are the fewest that the Proxy-Wasm ABI 0.2.1 has for this: all headers in one, the clock, the removal of
;; the credential, four headers for the upstream, two for the caller, the status.
(module
  (import "env" "proxy_get_header_map_pairs" (func $get_pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))

  (memory (export "memory") 2)
  (data (i32.const 0) "authorization")                        ;; 13
  (data (i32.const 16) ":status")                             ;; 7
  (data (i32.const 32) "x-portcullis-key-id")                 ;; 19
  (data (i32.const 64) "x-portcullis-organization")           ;; 25
  (data (i32.const 96) "x-portcullis-user")                   ;; 17
  (data (i32.const 128) "x-portcullis-api")                   ;; 16
  (data (i32.const 160) "key_0123456789abc")                  ;; 17, as all ids
  (data (i32.const 192) "ratelimit-policy")                   ;; 16
  (data (i32.const 224) "\"requests-60s\";q=12000000;w=60")   ;; 30
  (data (i32.const 256) "ratelimit")                          ;; 9
  (data (i32.const 288) "\"requests-60s\";r=11999999;t=1")    ;; 29

  (func (export "_initialize"))
  (func (export "proxy_abi_version_0_2_1"))
  ;; What the host gives is never looked at, so one place is enough for all of it.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get_pairs (i32.const 0) (i32.const 320) (i32.const 324)))
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 328)))
    (drop (call $remove (i32.const 0) (i32.const 0) (i32.const 13)))
    (drop (call $add (i32.const 0) (i32.const 32) (i32.const 19) (i32.const 160) (i32.const 17)))
    (drop (call $add (i32.const 0) (i32.const 64) (i32.const 25) (i32.const 160) (i32.const 17)))
    (drop (call $add (i32.const 0) (i32.const 96) (i32.const 17) (i32.const 160) (i32.const 17)))
    (drop (call $add (i32.const 0) (i32.const 128) (i32.const 16) (i32.const 160) (i32.const 17)))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) (i32.const 192) (i32.const 16) (i32.const 224) (i32.const 30)))
    (drop (call $add (i32.const 2) (i32.const 256) (i32.const 9) (i32.const 288) (i32.const 29)))
    (drop (call $get (i32.const 2) (i32.const 16) (i32.const 7) (i32.const 320) (i32.const 324)))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1)))
