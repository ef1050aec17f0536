# A learner and its server, for container_grpc.py.
FROM python:3.11-slim
RUN useradd --create-home learner
WORKDIR /home/learner/colearn
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY colearn_ledger colearn_ledger
COPY colearn_learner colearn_learner
COPY localnet localnet
COPY examples examples
RUN pip install --no-cache-dir --constraint constraints.txt ".[sklearn,remote]"
USER learner
