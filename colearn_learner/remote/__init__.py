"""Learners on other machines: `server.LearnerServer` and its client, `client.RemoteLearner`.

The server runs on the machine with the data and the GPU. The client has the five methods of a
learner and forwards each call to the server over gRPC. ``learner.proto`` describes the protocol.
Only the modules of this package import grpc and protobuf; this file does not.
"""

DEFAULT_MAX_BYTES = 1_073_741_824
"""Largest file of weights or of a model, unless configured otherwise."""
