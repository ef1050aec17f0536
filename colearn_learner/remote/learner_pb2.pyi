from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Request(_message.Message):
    __slots__ = ("head", "part")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    head: RequestHead
    part: bytes
    def __init__(self, head: _Optional[_Union[RequestHead, _Mapping]] = ..., part: _Optional[bytes] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("head", "part")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    head: ResponseHead
    part: bytes
    def __init__(self, head: _Optional[_Union[ResponseHead, _Mapping]] = ..., part: _Optional[bytes] = ...) -> None: ...

class RequestHead(_message.Message):
    __slots__ = ("holds", "body")
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    holds: bytes
    body: Body
    def __init__(self, holds: _Optional[bytes] = ..., body: _Optional[_Union[Body, _Mapping]] = ...) -> None: ...

class ResponseHead(_message.Message):
    __slots__ = ("instance", "holds", "stale", "failure", "body", "version", "max_bytes", "tested")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TESTED_FIELD_NUMBER: _ClassVar[int]
    instance: str
    holds: bytes
    stale: bool
    failure: str
    body: Body
    version: int
    max_bytes: int
    tested: Tested
    def __init__(self, instance: _Optional[str] = ..., holds: _Optional[bytes] = ..., stale: bool = ..., failure: _Optional[str] = ..., body: _Optional[_Union[Body, _Mapping]] = ..., version: _Optional[int] = ..., max_bytes: _Optional[int] = ..., tested: _Optional[_Union[Tested, _Mapping]] = ...) -> None: ...

class Body(_message.Message):
    __slots__ = ("size", "sha256")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    size: int
    sha256: bytes
    def __init__(self, size: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Tested(_message.Message):
    __slots__ = ("vote_score", "test_score", "vote", "has_test_score")
    VOTE_SCORE_FIELD_NUMBER: _ClassVar[int]
    TEST_SCORE_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    HAS_TEST_SCORE_FIELD_NUMBER: _ClassVar[int]
    vote_score: float
    test_score: float
    vote: bool
    has_test_score: bool
    def __init__(self, vote_score: _Optional[float] = ..., test_score: _Optional[float] = ..., vote: bool = ..., has_test_score: bool = ...) -> None: ...
