"""What a client does with queues and agents; `LaunchClient` has these calls too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch_sdk.queue_views import AgentView, QueueItem, QueueView
    from launch_sdk.session import Session
    from launch_sdk.specs.queue_config import QueueConfig


class Queue:
    """A queue on the server: what waits there, and its life."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name

    def refresh(self) -> QueueView:
        """Read everything the server knows of it.

        Raises:
            NotFoundError: it does not exist (any more); the message names those that do.
        """
        return self._session.do(self._session.gateway.read_queue(self.name))

    def items(self) -> list[QueueItem]:
        """Return what is on it and has not ended: what waits, in the order of its turn and with why, then the rest."""
        return self._session.do(self._session.gateway.queue_items(self.name))

    def delete_item(self, run_id: str) -> str:
        """Take a run off that waits; it ends as cancelled.

        Returns:
            Its id.

        Raises:
            ConflictError: it waits no more.
            NotFoundError: it is not on this queue.
        """
        return self._session.do(self._session.gateway.delete_queue_item(self.name, run_id))

    def update(self, config: QueueConfig) -> None:
        """Replace what its owner decided; what waits already keeps what it was given."""
        self._session.do(self._session.gateway.update_queue(self.name, config))

    def pause(self) -> None:
        """Give agents nothing of it; what runs goes on."""
        self._session.do(self._session.gateway.pause_queue(self.name, paused=True))

    def resume(self) -> None:
        """Let agents take its runs again."""
        self._session.do(self._session.gateway.pause_queue(self.name, paused=False))

    def delete(self) -> int:
        """Delete it. What waits on it ends as cancelled, what runs goes on.

        Returns:
            How many waited.

        Raises:
            ConflictError: it is the default queue, or a sweep on it goes on.
        """
        return self._session.do(self._session.gateway.delete_queue(self.name))


class QueueCalls:
    """The calls of a client that are about queues and agents."""

    _session: Session

    def queue(self, name: str) -> Queue:
        """Return an existing queue.

        Raises:
            NotFoundError: there is none; the message names those there are.
        """
        queue = Queue(self._session, name)
        queue.refresh()
        return queue

    def queue_views(self) -> list[QueueView]:
        """Return what is known of every queue, by name."""
        return self._session.do(self._session.gateway.queue_views())

    def queues(self) -> list[str]:
        """Return the names of the queues."""
        return self._session.do(self._session.gateway.list_queues())

    def create_queue(self, queue: str, config: QueueConfig | None = None) -> None:
        """Make a queue.

        Raises:
            ConflictError: there is one of this name.
            InvalidSpecError: no queue may be called so.
        """
        self._session.do(self._session.gateway.create_queue(queue, config))

    def ensure_queue(self, queue: str) -> None:
        """Check that a queue exists; the default one is made."""
        self._session.do(self._session.gateway.ensure_queue(queue))

    def queue_has_agent(self, queue: str) -> bool:
        """Say whether any agent polls a queue."""
        return self._session.do(self._session.gateway.queue_has_agent(queue))

    def queue_has_work(self, queue: str) -> bool:
        """Say whether anything waits or runs on a queue, parents of sweeps included."""
        return self._session.do(self._session.gateway.queue_has_work(queue))

    def why_waiting(self, run_id: str) -> str | None:
        """Say why a run waits; None if it does not."""
        return self._session.do(self._session.gateway.why_waiting(run_id))

    def agents(self) -> list[AgentView]:
        """Return the agents that poll queues of this server, on any machine, by name."""
        return self._session.do(self._session.gateway.list_agents())

    def stop_agent(self, name: str, *, cancel: bool = False) -> AgentView:
        """Ask an agent, on any machine, to take nothing new and to end when what it runs has ended.

        Args:
            name: as `agents` gives it.
            cancel: whether what it runs is cancelled.

        Raises:
            ConflictError: the name is that of several, or of a worker of Prefect's own.
            NotFoundError: no agent of this name is running; the message names those that are.
        """
        return self._session.do(self._session.gateway.stop_agent(name, cancel=cancel))
