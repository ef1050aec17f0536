"""Learners on other machines: a server beside the data and the GPU, and a learner that asks it.

`client.RemoteLearner` has the five methods of a learner and hands each to a `server.LearnerServer`
over gRPC. Both import grpc, this module does not.
"""
