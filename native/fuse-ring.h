/* FUSE over io_uring (fuse-ring.c), as fuse-device.c sees it. */
#ifndef FUSE_RING_H
#define FUSE_RING_H

#include <node_api.h>

napi_value ring_prepare(napi_env env, napi_callback_info info);
napi_value ring_start(napi_env env, napi_callback_info info);
napi_value ring_stop(napi_env env, napi_callback_info info);
napi_value ring_share(napi_env env, napi_callback_info info);
napi_value ring_unshare(napi_env env, napi_callback_info info);
napi_value ring_unused(napi_env env, napi_callback_info info);
napi_value ring_take(napi_env env, napi_callback_info info);
napi_value ring_reply(napi_env env, napi_callback_info info);
napi_value ring_reply_from_file(napi_env env, napi_callback_info info);

#endif
